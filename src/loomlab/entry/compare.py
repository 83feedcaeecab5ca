"""`loom compare DIR...`: runs ranked, with what differs, what it is worth and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError, did_you_mean

FORMATS = {".csv": "csv", ".md": "md", ".tex": "latex", ".json": "json"}  # by a file's ending
MOST_SETTINGS = 8  # columns of settings on the screen


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom compare",
        description="Rank the runs below some folders, those still running and failed ones too: "
        "only the settings that differ, mean and standard deviation over seeds, and the "
        "difference to a baseline with a bootstrap interval over runs of the same seed.",
    )
    add = arguments.add_argument
    add("folders", nargs="*", type=Path, metavar="DIR", help="runs, sweeps or folders of them")
    add("--metric", help="rank by it; default: what the runs are compared by")
    add(
        "--baseline", metavar="RUN|KEY=VALUE",
        help="compare with it: a run, or settings as in 'optimizer=sgd optimizer.lr=0.1'; "
        "default: the first with a result",
    )  # fmt: skip
    add(
        "--pareto", metavar="COST[,COST]",
        help="mark what nothing beats in quality and cost: parameters, bytes, tokens, flops, "
        "seconds, peak_memory_bytes, latency_seconds",
    )  # fmt: skip
    add("--diff", nargs=2, metavar=("A", "B"), help="only what two runs are set to differently")
    add(
        "--export", choices=[*FORMATS.values()],
        help="csv (a row per run), md or latex (the ranking), json (both)",
    )  # fmt: skip
    add("--output", type=Path, metavar="FILE", help="write there; its ending tells the format")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    form = options.export or _format(options.output)
    if options.diff:
        _diff(options.folders, options.diff, form, options.output)
        return 0
    from loomlab.report.collect import collect
    from loomlab.report.comparison import compare
    from loomlab.report.export import export

    if not options.folders:
        raise InputError("give the folder of a run, of a sweep or of several: loom compare DIR")
    rows = collect(options.folders)
    if not rows:
        places = ", ".join(map(str, options.folders))
        raise InputError(f"there is no run in {places}: give what `loom train` named at its end")
    found = compare(rows, options.metric, options.baseline, _costs(options.pareto))
    if form:
        _deliver(export(found, form), options.output)
        return 0
    from loomlab.report.comparison_sheet import comparison_sheet, front_sheet
    from loomlab.report.sheet import show

    for comparison in found:
        show(comparison_sheet(comparison, MOST_SETTINGS))
        if comparison.costs:
            show(front_sheet(comparison))
    return 0


def _format(output: Path | None) -> str | None:
    if output is None:
        return None
    if output.suffix not in FORMATS:
        raise InputError(f"--output {output}: give it one of the endings {', '.join(FORMATS)}, "
                         "or say --export")  # fmt: skip
    return FORMATS[output.suffix]


def _costs(text: str | None) -> tuple[str, ...]:
    from loomlab.report.row import COSTS

    names = tuple(dict.fromkeys(text.split(","))) if text else ()
    for name in names:
        if name not in COSTS:
            raise InputError(f"--pareto {name} is no cost; {did_you_mean(name, COSTS, 'costs')}")
    return names


def _diff(
    folders: Sequence[Path], names: list[str], form: str | None, output: Path | None
) -> None:
    from loomlab.report.collect import collect
    from loomlab.report.difference import difference_sheet
    from loomlab.report.export import export_sheet
    from loomlab.report.find import find_run
    from loomlab.report.sheet import show

    rows = collect(folders)
    one, other = (find_run(rows, name) for name in names)
    sheet = difference_sheet(one, other)
    _deliver(export_sheet(sheet, form), output) if form else show(sheet)


def _deliver(text: str, output: Path | None) -> None:
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--output {output} cannot be written: {error.strerror}") from error
