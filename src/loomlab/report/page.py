"""The report of a sweep: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import importlib.util
import json
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from loomlab import __version__
from loomlab.errors import InputError
from loomlab.report.page_data import page_data
from loomlab.run.folder import write_atomically
from loomlab.run.ledger import LEDGER, is_sweep

REPORT = "report.html"
ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    "base", "theme", "shown", "colours", "figures", "table", "curves", "parallel", "pareto",
    "importance", "differences", "samples", "live", "main",
)  # fmt: skip


def write_report(folder: Path | str) -> Path:
    """Write SWEEP/report.html from the ledger and the run folders, whatever state they are in.

    Raises:
        InputError: the folder is not that of a sweep.
    """
    folder = Path(folder)
    if not is_sweep(folder):
        raise InputError(
            f"{folder} is no sweep (it has no {LEDGER}): give the folder that "
            "`loom train -m` named at its end"
        )
    path = folder / REPORT
    write_atomically(path, page(page_data(folder)))
    path.chmod(0o600)  # as private as the folder of a run
    return path


def page(data: dict[str, Any]) -> str:
    """The page as text.

    The figures' library and the data are packed with gzip, since the library alone would
    otherwise fill the page; a browser unpacks both. The page may run its own script and this
    library, by their hashes, and may reach nothing but the `loom dash` that serves it: text of a
    run that got into the page as HTML would still not be run.
    """
    script = "\n".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";\n{script}'
    library, packed_library = _plotly()
    policy = (
        f"default-src 'none'; script-src {_hash(script)} {_hash(library)}; "
        "style-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template((ASSETS / "page.html").read_text(encoding="utf-8")).substitute(
        policy=policy, version=__version__, title=html.escape(data["title"]),
        style=(ASSETS / "page.css").read_text(encoding="utf-8"), script=script,
        data=_packed(plain(data)), plotly=packed_library,
    )  # fmt: skip


def plain(data: dict[str, Any]) -> str:
    """The data of a page as JSON."""
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


@cache
def _plotly() -> tuple[str, str]:
    """Plotly.js out of the package `plotly`, which itself is not loaded: plain and packed."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None, "plotly is a dependency of loomlab"
    assert spec.submodule_search_locations, "plotly is a package"
    path = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    text = path.read_text(encoding="utf-8")
    return text, _packed(text)


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
