"""The one place where a checked config becomes an experiment, in one direction.

tokenizer -> corpus -> model -> compression.transform -> objective -> compression.wrap_loss ->
precision and parallelism -> trainer. Components get plain values by keyword, never the config.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from loomlab.compression.base import Compression, in_order
from loomlab.corpus.base import Corpus
from loomlab.errors import InputError
from loomlab.measure.flops import training_flops_per_token
from loomlab.objective.base import Objective
from loomlab.parallelism.base import Parallelism
from loomlab.precision.base import Precision
from loomlab.run.budget import StopAfterSeconds, schedule_context, total_steps
from loomlab.run.folder import RunFolder
from loomlab.run.initial_weights import load_initial_weights
from loomlab.run.meter import Meter
from loomlab.run.metrics_file import MetricsFile
from loomlab.run.shutdown import Shutdown
from loomlab.scheduler.context import ScheduleContext


@dataclass
class Assembled:
    """Everything one run is made of."""

    corpus: Corpus
    objective: Objective
    compression: list[Compression]
    context: ScheduleContext
    steps: int | None
    flops_per_step: float
    metrics: MetricsFile
    parallelism: Parallelism
    counted: bool  # trained by counting rather than by gradient
    owns: tuple[str, ...]  # axes the model brings itself


def make(node: DictConfig) -> Any:
    """The constructor of an option with its settings filled in; run-time values are still due."""
    return instantiate(node, _partial_=True, _convert_="all")


def assemble(config: DictConfig, folder: RunFolder) -> Assembled:
    """Build all parts of a run but the trainer.

    Raises:
        InputError: settings that only the data or the machine can refuse.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    parallelism: Parallelism = make(config.parallelism)()
    corpus = open_corpus(config, parallelism.devices, int(os.environ.get("LOCAL_RANK", "0")))
    model = build_model(config, corpus)
    if config.init:
        load_initial_weights(model, Path(config.init))
    compression = in_order([make(node)() for node in config.compression.values()])
    for technique in compression:
        model = technique.transform(model)
    tokens = config.global_batch_size * config.sequence_length
    context = ScheduleContext.fixed(1, tokens)  # the length is known once a step is priced
    objective: Objective = make(config.objective)(
        model=model,
        tokenizer=corpus.hf_tokenizer,
        optimizer=make(config.optimizer),
        scheduler=make(config.scheduler),
        context=context,
        bytes_per_token=corpus.bytes_per_token,
        seed=config.seed,
    )
    for technique in compression:
        objective = technique.wrap_loss(objective)
    corpus.collate = objective.collate
    option = make(config.model).func
    counted = getattr(option, "trained_by", "gradient") == "counting"
    flops = 0.0 if counted else _flops_per_step(objective, corpus, tokens)
    steps = total_steps(config.budget, tokens, flops)
    objective.context = context = schedule_context(steps, config.budget, tokens)
    metrics = MetricsFile(folder.metrics, tokens, flops)
    return Assembled(
        corpus, objective, compression, context, steps, flops, metrics, parallelism, counted,
        getattr(option, "owns", ()),
    )  # fmt: skip


def open_corpus(config: DictConfig, world_size: int = 1, rank: int = 0) -> Corpus:
    """The corpus, tokenized (or found in the cache) and opened."""
    corpus: Corpus = make(config.corpus)(
        tokenizer=make(config.tokenizer)(),
        sequence_length=config.sequence_length,
        batch_size=micro_batch(config, world_size),
        seed=config.seed,
        cache_dir=Path(config.paths.cache_dir),
        rank=rank,
        world_size=world_size,
    )
    if rank == 0:
        corpus.prepare_data()
    corpus.setup()
    return corpus


def micro_batch(config: DictConfig, world_size: int) -> int:
    """Rows one process takes per micro-step."""
    share, rest = divmod(
        config.global_batch_size, world_size * config.trainer.accumulate_grad_batches
    )
    if rest:
        raise InputError(
            f"global_batch_size={config.global_batch_size} is not a multiple of "
            f"parallelism.devices={world_size} x trainer.accumulate_grad_batches="
            f"{config.trainer.accumulate_grad_batches}"
        )
    return int(share)


def build_model(config: DictConfig, corpus: Corpus) -> Any:
    """The model of the config for the vocabulary of the corpus."""
    tokenizer = corpus.hf_tokenizer
    head = objective_head(config)
    option = make(config.model)(
        vocab_size=corpus.vocab_size,
        context_length=config.sequence_length,
        attention=OmegaConf.to_container(config.attention),
        position=OmegaConf.to_container(config.position),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.eos_token_id,
    )
    return option.build(head)


def objective_head(config: DictConfig) -> str:
    """The model head that the objective trains."""
    return str(make(config.objective).func.head)


def _flops_per_step(objective: Objective, corpus: Corpus, tokens: int) -> float:
    """Price of one optimizer step, counted on one real row."""
    inputs = objective.model_inputs(next(iter(corpus.val_dataloader())))
    return training_flops_per_token(objective.model, inputs) * tokens


def build_trainer(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision
) -> pl.Trainer:
    """The trainer with callbacks, loggers, precision and strategy."""
    name = str(config.name or folder.path.name)
    record: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0
    loggers = [
        make(node)().build(run_dir=folder.path, name=name, config=record)
        for node in config.logger.values()
        if first
    ]
    callbacks: list[pl.Callback] = [make(node)() for node in config.callbacks.values()]
    callbacks += [c for technique in parts.compression for c in technique.callbacks()]
    callbacks += [Meter(), Shutdown()]
    if parts.steps is None:
        callbacks.append(StopAfterSeconds(parts.context, float(config.budget.seconds)))
    callbacks.sort(key=lambda callback: getattr(callback, "runs_last", False))
    trainer: pl.Trainer = make(config.trainer)(
        total_steps=parts.steps,
        callbacks=callbacks,
        logger=[parts.metrics, *loggers],
        default_root_dir=str(folder.path),
        precision=precision.lightning,
        strategy=parts.parallelism.strategy(folder.path),
        devices=parts.parallelism.devices,
        accelerator="auto" if torch.cuda.is_available() else "cpu",
    )
    return trainer
