"""`loom report SWEEP`: write the page of a sweep."""

from __future__ import annotations

from pathlib import Path

from loomlab.entry.arguments import Arguments


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom report",
        description="Write SWEEP/report.html: curves, table, parallel coordinates, importance of "
        "settings, Pareto front, samples and failures in one file that needs no network.",
    )
    arguments.add_argument("sweep", type=Path, metavar="SWEEP", help="folder of `loom train -m`")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.report.page import write_report

    print(write_report(options.sweep))
    return 0
