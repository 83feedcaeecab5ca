"""`loom dash [DIR]`: look at runs in the best local view there is."""

from __future__ import annotations

import contextlib
import webbrowser
from collections.abc import Callable
from pathlib import Path

from loomlab.entry.arguments import Arguments, whole
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
        "--port",
        type=whole(0, 65535),
        default=0,
        help="of the report on 127.0.0.1; default: a free one",
    )  # fmt: skip
    arguments.add_argument(
        "--view", choices=tuple(VIEWS), default="report",
        help="report: the page of `loom report` in a browser, kept up to date (default); leet: "
        "`wandb leet` in this terminal; trackio: a local Trackio server",
    )  # fmt: skip
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    folder = options.folder or newest_sweep(OUTPUTS)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give the folder of a sweep")
    return VIEWS[options.view](folder, options.port)


def show_report(folder: Path, port: int) -> int:
    """Write the report anew, open it in a browser if there is one, and serve it until Ctrl-C."""
    from loomlab.report.page import write_report
    from loomlab.report.served import PageServer

    path = write_report(folder).resolve()
    with PageServer(folder, port) as server:
        found = webbrowser.open(server.url)
        say = "opened in a browser" if found else "no browser was found here; open this in one"
        print(f"{say}: {server.url}")
        print(f"kept up to date until Ctrl-C; as it is now: {path}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def show_leet(folder: Path, port: int) -> int:
    """Run `wandb leet` in this terminal."""
    from loomlab.report import leet_view

    return leet_view.show_leet(folder)


def show_trackio(folder: Path, port: int) -> int:
    """Serve the runs by Trackio until Ctrl-C."""
    from loomlab.report import trackio_view

    return trackio_view.show_trackio(folder)


VIEWS: dict[str, Callable[[Path, int], int]] = {
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
