"""`loom job SWEEP KEY`: run one job of a sweep in this process; launchers call it."""

from __future__ import annotations

import sys
from pathlib import Path

from loomlab.entry import compress, train
from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom job",
        description="Run one job of a sweep in this process, from its last checkpoint if it has "
        "one, and write into the sweep's ledger how it goes. Launchers call this.",
    )
    arguments.add_argument("sweep", type=Path, help="the sweep's folder")
    arguments.add_argument("key", help="the job, as the ledger names it")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.run.ledger import Ledger, is_sweep
    from loomlab.sweep.job import arguments, claim, heard_of, outcome, reporting

    if not is_sweep(options.sweep):
        raise InputError(f"{options.sweep} is not the folder of a sweep")
    ledger = Ledger(options.sweep)
    job = claim(ledger, options.key)
    if job is None:
        print(f"job {options.key} is done, or another process has it")
        return 0
    code, error = 1, ""
    try:
        with heard_of(ledger, job.key), reporting(ledger, job.key):
            flags, overrides = arguments(ledger, job)
            if ledger.definition().get("verb") == "compress":
                compress.compress_one(overrides)
            else:
                train.train_one([*flags, *overrides], overrides)
            code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
        raise
    except InputError as refusal:
        code, error = 2, f"InputError: {refusal}"
        print(f"loom job: {refusal}", file=sys.stderr)
    except BaseException as failure:
        error = f"{type(failure).__name__}: {failure}"
        raise
    finally:
        ledger.update(job.key, **outcome(ledger.folder / job.folder, code, error))
    return code
