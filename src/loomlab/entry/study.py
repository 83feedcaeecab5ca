"""`loom study NAME`: run the sweeps of a study, then draw its table and figure from the runs."""

from __future__ import annotations

from pathlib import Path

from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom study",
        description="Run the sweeps of experiments/NAME and draw its table and figure.",
    )
    arguments.add_argument("name", help="folder name below experiments/")
    arguments.add_argument("overrides", nargs="*", help="overrides added to every sweep")
    arguments.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    arguments.add_argument("--redraw", action="store_true", help="only draw, from recorded runs")
    arguments.add_argument("--fresh", action="store_true", help="run again what is done")
    arguments.add_argument("--output", type=Path, help="default: outputs/studies/NAME")
    arguments.add_argument(
        "--publish", action="store_true", help="put table and figure into the study's folder"
    )
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.report.study import find_study, run_sweeps, study_rows

    study = find_study(options.name)
    folder = f"{options.name}-smoke" if options.smoke else options.name
    output = options.output or Path("outputs/studies") / folder
    failed = 0
    if not options.redraw:
        commands = study.commands(options.smoke, options.overrides)
        _check_all(commands, options.name)
        failed = run_sweeps(commands, output, options.fresh)
    rows = study_rows(study, output)
    study.script().draw(rows, output, study.folder if options.publish else None)
    return 1 if failed else 0


def _check_all(commands: dict[str, list[str]], study: str) -> None:
    """Refuse the study before its first sweep if any of its jobs would be refused.

    But for sweeps that start from runs of earlier ones: these are checked when those are there.
    """
    from loomlab.entry.compress_source import beginning_of
    from loomlab.report.study import EARLIER
    from loomlab.sweep.plan import plan

    for name, words in commands.items():
        if any(EARLIER.search(word) for word in words):
            continue
        if words[0] == "compress":
            words = [*beginning_of(Path(words[1]), words[2:]), *words[2:]]
        checked = plan(words).checked
        if checked.problems:
            raise InputError(f"sweep {name} of study {study}: {checked.message()}")
