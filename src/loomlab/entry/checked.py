"""All that is asked of a single run before anything of it is started."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from loomlab.compose.gate import check
from loomlab.entry.resume import refuse_changes, with_recorded_overrides
from loomlab.errors import InputError
from loomlab.run.output import probe


def checked_run(argv: list[str], overrides: list[str]) -> tuple[list[str], DictConfig]:
    """The command line with what a resumed run has on record, and its config.

    Raises:
        InputError: all that is wrong with it; nothing has been written.
    """
    recorded = with_recorded_overrides(overrides)
    argv = [*(a for a in argv if a not in overrides), *recorded]
    checked = check(recorded, argv)
    if checked.problems:
        raise InputError(checked.message())
    config = checked.configs[0]
    refuse_changes(config)
    probe(Path(str(config.hydra.run.dir)), "paths.output_dir")
    return argv, config
