"""One run as `hydra.main` would run it, without composing its config three times over."""

from __future__ import annotations

from hydra._internal.callbacks import Callbacks
from hydra._internal.utils import run_and_report
from hydra.core.utils import configure_log, run_job
from hydra.types import HydraContext, RunMode, TaskFunction

from loomlab.compose.composer import CONFIG_NAME, compose_job, composing
from loomlab.compose.hydra_node import command_line


def run_once(argv: list[str], task: TaskFunction) -> None:
    """Run the task in the folder, with the logs and under the callbacks that the config says.

    What the gates have composed is remembered, so that this costs little; `hydra.main` composes
    once to learn whether it is a sweep, and once more to run.
    """
    argv, given = command_line(argv, "train")
    with composing(argv) as loader:
        config = compose_job(given.overrides)
    config.hydra.mode = RunMode.RUN
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    callbacks = Callbacks(config)
    callbacks.on_run_start(config=config, config_name=CONFIG_NAME)
    context = HydraContext(config_loader=loader, callbacks=callbacks)
    done = run_job(task, config, "hydra.run.dir", None, context)
    callbacks.on_run_end(config=config, config_name=CONFIG_NAME, job_return=done)
    run_and_report(lambda: done.return_value)
