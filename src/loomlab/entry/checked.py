"""All that is asked of a single run before anything of it is started."""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig

from loomlab.compose.gate import check
from loomlab.compose.hydra_node import SweepAsked, asks_for_sweep
from loomlab.entry.resume import refuse_changes, with_recorded_overrides
from loomlab.errors import InputError
from loomlab.run.moving_in import refuse_inhabited
from loomlab.run.output import probe


def checked_run(argv: list[str], overrides: list[str]) -> tuple[list[str], DictConfig]:
    """The command line with what a resumed run has on record, and its config.

    Also with the tokenizer of the weights that it starts from, where none was chosen.

    Raises:
        SweepAsked: it is not one run that the config asks for.
        InputError: all that is wrong with it; nothing has been written.
    """
    recorded = with_recorded_overrides(overrides)
    argv = [*(a for a in argv if a not in overrides), *recorded]
    checked = check(recorded, argv)
    if 0 in checked.configs and asks_for_sweep(checked.configs[0]):
        raise SweepAsked("hydra.mode: it asks for a sweep, and this is one run; leave it out")
    config = checked.only()
    refuse_changes(config)
    argv = [*argv, *checked.added[0]]
    folder = Path(str(config.hydra.run.dir))
    if config.resume and config.overwrite:
        raise InputError("resume and overwrite=true: a run goes on or is removed; leave one out")
    probe(folder, "paths.output_dir")
    if names_folder(recorded) and not (config.resume or config.overwrite):
        refuse_inhabited(folder)
    if not os.path.isdir(cache := str(config.paths.cache_dir)):  # one that is may be read only
        probe(Path(cache), "paths.cache_dir")
    return argv, config


OF_RUN = ("paths", "paths.output_dir", "hydra.run", "hydra.run.dir", "resume")
OF_SWEEP = ("paths", "paths.sweep_dir", "hydra.sweep", "hydra.sweep.dir")


def names_folder(overrides: list[str], by: tuple[str, ...] = OF_RUN) -> bool:
    """Whether a command line says where its run goes; else it gets a folder of its own."""
    return any(o.lstrip("+").partition("=")[0] in by for o in overrides)
