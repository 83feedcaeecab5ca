"""`loom dash [DIR]`: look at runs in the best local view there is."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path

from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError

OUTPUTS = Path("outputs")


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom dash",
        description="Show the runs of a sweep, without an account and without a network.",
    )
    arguments.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR",
        help="folder of a sweep (leet and trackio: of any runs); default: the newest in outputs/",
    )  # fmt: skip
    arguments.add_argument(
        "--view", choices=tuple(VIEWS), default="report",
        help="report: the page of `loom report` in a browser (default); leet: `wandb leet` in "
        "this terminal; trackio: a local Trackio server",
    )  # fmt: skip
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    folder = options.folder or newest_sweep(OUTPUTS)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give the folder of a sweep")
    return VIEWS[options.view](folder)


def show_report(folder: Path) -> int:
    """Write the report anew and open it in a browser, if there is one."""
    from loomlab.report.page import write_report

    path = write_report(folder).resolve()
    if webbrowser.open(path.as_uri()):
        print(f"opened in a browser: {path}")
    else:
        print(f"no browser was found here; open this file in one: {path}")
    return 0


def show_leet(folder: Path) -> int:
    """Run `wandb leet` in this terminal."""
    from loomlab.report import leet_view

    return leet_view.show_leet(folder)


def show_trackio(folder: Path) -> int:
    """Serve the runs by Trackio until Ctrl-C."""
    from loomlab.report import trackio_view

    return trackio_view.show_trackio(folder)


VIEWS: dict[str, Callable[[Path], int]] = {
    "report": show_report,
    "leet": show_leet,
    "trackio": show_trackio,
}


def newest_sweep(outputs: Path) -> Path:
    """The sweep that was started or went on last.

    Raises:
        InputError: there is none.
    """
    from loomlab.run.ledger import LEDGER, find_sweeps

    sweeps = find_sweeps(outputs)
    if not sweeps:
        raise InputError(f"there is no sweep in {outputs}/: give the folder of one, DIR")
    return max(sweeps, key=lambda sweep: (sweep / LEDGER).stat().st_mtime)
