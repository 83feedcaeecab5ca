"""The trainer of an assembled run: its callbacks, loggers, precision and processes."""

from __future__ import annotations

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

from loomlab.device import accelerator
from loomlab.parallelism.base import global_rank
from loomlab.parallelism.meeting import cluster_environment
from loomlab.precision.base import Precision
from loomlab.run.assembly import Assembled, split_of
from loomlab.run.batch_progress import BatchProgress
from loomlab.run.budget import StopAfterSeconds, ValidateAtEnd
from loomlab.run.constructor import constructor
from loomlab.run.facts import facts_of
from loomlab.run.first_validation import ValidateAtStart
from loomlab.run.folder import RunFolder
from loomlab.run.meter import Meter
from loomlab.run.pruning import judges
from loomlab.run.shutdown import Shutdown
from loomlab.secrets import recordable


def build_loggers(config: DictConfig, parts: Assembled, folder: RunFolder) -> list[Logger]:
    """metrics.csv, and on the first process the loggers of the config."""
    if global_rank(parts.parallelism.devices):
        return [parts.metrics]
    name = str(config.name or folder.path.name)
    record = recordable(config)
    facts = facts_of(config, folder, parts.corpus, parts.objective, parts.metrics)
    options = [constructor(node)() for node in config.logger.values()]
    built = [o.build(run_dir=folder.path, name=name, config=record, facts=facts) for o in options]
    return [parts.metrics, *built]


def build_trainer(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision
) -> pl.Trainer:
    """The trainer with callbacks, loggers, precision and strategy."""
    chosen = [*config.callbacks.values(), *config.probe.values()]
    callbacks: list[pl.Callback] = [parts.own.give(constructor(node))() for node in chosen]
    callbacks += parts.own.callbacks()
    callbacks += [c for term in parts.regularization for c in term.callbacks()]
    callbacks += [c for technique in parts.compression for c in technique.callbacks()]
    callbacks += parts.parallelism.callbacks()
    callbacks += [BatchProgress(), Meter(), ValidateAtStart(), ValidateAtEnd(), Shutdown()]
    callbacks += judges()
    if parts.steps is None:
        callbacks.append(StopAfterSeconds(parts.context, float(config.budget.seconds)))
    callbacks.sort(key=lambda callback: getattr(callback, "runs_last", False))
    trainer: pl.Trainer = constructor(config.trainer)(
        accumulate_grad_batches=split_of(config, parts.parallelism).steps,
        total_steps=parts.steps,
        steps_per_epoch=parts.steps_per_epoch,
        callbacks=callbacks,
        logger=build_loggers(config, parts, folder),
        default_root_dir=str(folder.path),
        precision=precision.lightning,
        strategy=parts.parallelism.strategy(folder.path),
        plugins=[cluster_environment()],
        devices=parts.parallelism.devices,
        num_nodes=parts.parallelism.num_nodes,
        accelerator=accelerator(),
    )
    if config.trainer.limit_val_batches is None:
        parts.corpus.validation_batches = trainer.validation_batches  # type: ignore[attr-defined]
    return trainer
