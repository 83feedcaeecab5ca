"""One run as `hydra.main` would run it, without composing its config three times over."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.utils import run_and_report
from hydra.conf import HydraConf
from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import configure_log, run_job
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.problem import report
from loomlab.compose.composer import CONFIG_NAME, compose_job, composing
from loomlab.compose.hydra_node import command_line
from loomlab.compose.targets import forbidden_in_hydra
from loomlab.errors import InputError
from loomlab.secrets import mask_logs

if TYPE_CHECKING:
    from loomlab.run.folder import RunFolder


def run_once(argv: list[str], task: TaskFunction) -> None:
    """Run the task in the folder, with the logs and under the callbacks that the config says.

    What the gates have composed is remembered, so that this costs little; `hydra.main` composes
    once to learn whether it is a sweep, and once more to run.
    """
    argv, given = command_line(argv, "train")
    with composing(argv) as loader:
        config = compose_job(given.overrides)
    _run(config, loader, task)


def run_in_folder(folder: RunFolder, secrets: Mapping[str, object]) -> None:
    """Run the folder that was prepared for a job of a sweep as `run_once` runs a config.

    `secrets` are values, by key, that are not on record.

    Raises:
        InputError: it is no run folder, or Hydra would build what it may not.
    """
    from loomlab.run.ending import told
    from loomlab.run.folder import HYDRA
    from loomlab.run.prepared import run_prepared

    def task(_: DictConfig) -> float:
        mask_logs()
        with told(folder.path):
            return run_prepared(folder, secrets)

    config = folder.config()
    sys.argv = ["loom train", *folder.overrides()]  # which is on record
    node = OmegaConf.structured(HydraConf)
    OmegaConf.set_struct(node, False)  # options of Hydra's groups bring keys of their own
    config.hydra = OmegaConf.merge(node, OmegaConf.load(folder.path / HYDRA))
    if problems := list(forbidden_in_hydra(config)):
        raise InputError(report(problems, f"{folder.path / HYDRA} cannot be obeyed:"))
    _run(config, ConfigLoaderImpl(ConfigSearchPathImpl()), task)


def _run(config: DictConfig, loader: ConfigLoader, task: TaskFunction) -> None:
    config.hydra.mode = RunMode.RUN
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    callbacks = Callbacks(config)
    callbacks.on_run_start(config=config, config_name=CONFIG_NAME)
    context = HydraContext(config_loader=loader, callbacks=callbacks)
    done = run_job(task, config, "hydra.run.dir", None, context)
    callbacks.on_run_end(config=config, config_name=CONFIG_NAME, job_return=done)
    run_and_report(lambda: done.return_value)
