"""`loom sweep status|resume DIR`: how a sweep stands, and going on with it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from loomlab.entry.arguments import Arguments
from loomlab.errors import InputError
from loomlab.quoting import override


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(prog="loom sweep", description="Look at a sweep, or go on with it.")
    actions = arguments.add_subparsers(dest="action", required=True, metavar="status|resume")
    for name, aliases, what in (
        ("status", ["show"], "how every job stands and how far it is, also while the sweep runs"),
        ("resume", [], "run what is left: as giving the command again"),
    ):
        action = actions.add_parser(name, aliases=aliases, help=what, description=what)
        action.add_argument("sweep", type=Path, help="the sweep's folder")
    actions.choices["resume"].add_argument(
        "overrides", nargs="*", help="further overrides, such as launch.n_parallel=2"
    )
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.run.ledger import FAILED, Ledger, is_sweep

    if not is_sweep(options.sweep):
        raise InputError(
            f"{options.sweep} is no folder of a sweep (it has no ledger.sqlite): give the one "
            "that `loom train -m` named"
        )
    ledger = Ledger(options.sweep)
    if options.action == "resume":
        return _resume(ledger, options.sweep.resolve(), options.overrides)
    from loomlab.sweep.screen import Screen

    Screen().standing(ledger)
    return 1 if any(job.state == FAILED for job in ledger.jobs()) else 0


def _resume(ledger: object, folder: Path, overrides: list[str]) -> int:
    """Give the command of the sweep again, where it was given."""
    from loomlab.entry import compress, train
    from loomlab.run.ledger import Ledger
    from loomlab.secrets import MASK

    assert isinstance(ledger, Ledger)
    definition = ledger.definition()
    given = [o for o in definition["arguments"] if not o.startswith("paths.sweep_dir=")]
    secrets = [o.partition("=")[0] for o in given if o.endswith(f"={MASK}")]
    named = {o.partition("=")[0] for o in overrides}
    if left_out := [key for key in secrets if key not in named]:
        raise InputError(
            f"{', '.join(left_out)} was kept out of the ledger, as a secret: give it again, as "
            f"`loom sweep resume {shlex.quote(str(folder))} {left_out[0]}=...`"
        )
    given = [o for o in given if o.partition("=")[0] not in named]
    os.chdir(definition["cwd"])
    flags = definition["flags"]
    verb = compress if definition.get("verb") == "compress" else train
    return verb.run([*flags, "-m", *given, *overrides, override("paths.sweep_dir", folder)])
