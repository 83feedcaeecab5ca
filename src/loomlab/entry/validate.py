"""`loom validate`: what `loom train` would refuse, in about a second, with nothing started."""

from __future__ import annotations

from loomlab.compose.hydra_node import SweepAsked, command_line
from loomlab.entry.checked import checked_run
from loomlab.errors import InputError
from loomlab.run.output import probe

HELP = """\
usage: loom validate [-m] [OVERRIDE ...]

Compose and check a job, or with -m every job of a sweep, exactly as `loom train` does first:
misspelled keys, wrong types and values, options that do not go together, a run that cannot be
resumed so, a folder that cannot be written. All problems are listed at once. Exit code 0: it
may train; 2: it may not."""


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    if argv in (["--help"], ["-h"]):
        print(HELP)
        return 0
    argv, arguments = command_line(argv, "validate")
    if not arguments.multirun:
        try:
            return _one(argv, arguments.overrides)
        except SweepAsked:
            pass
    from loomlab.sweep.plan import plan

    made = plan(arguments.overrides, argv)
    if made.checked.problems:
        raise InputError(made.checked.message())
    probe(made.folder, "paths.sweep_dir")
    count = len(made.checked.jobs)
    print("valid" if count == 1 else f"{count} jobs, all valid")
    return 0


def _one(argv: list[str], overrides: list[str]) -> int:
    _, config = checked_run(argv, overrides)
    if config.resume:
        from loomlab.callbacks.store import CheckpointStore
        from loomlab.run.folder import RunFolder

        CheckpointStore(RunFolder(str(config.resume)).checkpoints).resumable(config.resume)
    print("valid")
    return 0
