"""`loom job SWEEP KEY`: run one job of a sweep in this process; launchers call it."""

from __future__ import annotations

import sys
from pathlib import Path

from loomlab.entry.arguments import Arguments
from loomlab.entry.hydra_run import run_in_folder
from loomlab.errors import InputError


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom job",
        description="Run one job of a sweep in this process, in the folder that was prepared for "
        "it and from its last checkpoint if it has one, and write into the sweep's ledger how it "
        "goes. Launchers call this.",
    )
    arguments.add_argument("sweep", type=Path, help="the sweep's folder")
    arguments.add_argument("key", help="the job, as the ledger names it")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.run.folder import RunFolder
    from loomlab.run.ledger import Ledger, is_sweep
    from loomlab.run.prepared import run_prepared
    from loomlab.sweep.job import claim, heard_of, outcome, reporting, secrets_of

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
            folder, secrets = RunFolder(ledger.folder / job.folder), secrets_of(ledger, job)
            if ledger.definition().get("verb") == "compress":
                run_prepared(folder, secrets, trains=False)
            else:
                run_in_folder(folder, secrets)
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
