"""`loom validate`: what `loom train` would refuse, in about a second, with nothing started."""

from __future__ import annotations

from hydra._internal.utils import get_args_parser

from loomlab.compose.gate import check
from loomlab.errors import InputError

HELP = """\
usage: loom validate [-m] [OVERRIDE ...]

Compose and check a job, or with -m every job of a sweep, exactly as `loom train` does first:
misspelled keys, wrong types and values, options that do not go together. All problems are
listed at once. Exit code 0: it may train; 2: it may not."""


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    if argv in (["--help"], ["-h"]):
        print(HELP)
        return 0
    from loomlab.sweep.plan import plan

    arguments = get_args_parser().parse_args(argv)
    checked = (
        plan(arguments.overrides, argv).checked if arguments.multirun
        else check(arguments.overrides, argv)
    )  # fmt: skip
    if checked.problems:
        raise InputError(checked.message())
    count = len(checked.jobs)
    print("valid" if count == 1 else f"{count} jobs, all valid")
    return 0
