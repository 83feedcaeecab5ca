"""The one place where a checked config becomes an experiment, in one direction.

tokenizer -> corpus -> model -> compression.transform -> objective -> compression.wrap_loss ->
precision and parallelism -> trainer (in run/trainer.py). Components get plain values by keyword,
never the config.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.choices import own_choices
from loomlab.compression.base import Compression, in_order
from loomlab.corpus.base import Corpus
from loomlab.errors import InputError
from loomlab.measure.flops import training_flops_per_token
from loomlab.measure.split import Split, Uneven, split_batch
from loomlab.objective.base import Objective
from loomlab.optimizer.layers import freeze
from loomlab.parallelism.base import Parallelism, global_rank
from loomlab.regularization.base import Regularization
from loomlab.run.budget import schedule_context, total_steps
from loomlab.run.constructor import constructor
from loomlab.run.folder import RunFolder
from loomlab.run.initial_weights import load_initial_weights, shape_as_before
from loomlab.run.kept_tokenizer import kept_tokenizer
from loomlab.run.metrics_file import MetricsFile
from loomlab.run.own_groups import OwnGroups
from loomlab.run.paired_tokenizer import require_paired, weights_of
from loomlab.scheduler.context import ScheduleContext
from loomlab.tokenizer.base import Tokenizer

log = logging.getLogger("loomlab")


@dataclass
class Assembled:
    """Everything one run is made of."""

    corpus: Corpus
    objective: Objective
    regularization: list[Regularization]
    compression: list[Compression]
    context: ScheduleContext
    steps: int | None
    steps_per_epoch: float
    flops_per_step: float
    metrics: MetricsFile
    parallelism: Parallelism
    counted: bool  # trained by counting rather than by gradient
    owns: tuple[str, ...]  # axes the model brings itself
    own: OwnGroups


def own_groups(config: DictConfig) -> OwnGroups:
    """The components of the user's own config groups; groups of plain values have none."""
    nodes = {name: config[name] for name in own_choices(config)}
    return OwnGroups({name: constructor(n)() for name, n in nodes.items() if "_target_" in n})


def assemble(config: DictConfig, folder: RunFolder, compressed: bool = True) -> Assembled:
    """Build all parts of a run but the trainer; `compressed`: with what compression puts in.

    Raises:
        InputError: settings that only the data or the machine can refuse.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    parallelism: Parallelism = constructor(config.parallelism)()
    rank = global_rank(parallelism.devices)
    split = split_of(config, parallelism)
    own = own_groups(config)
    corpus = open_corpus(
        config, parallelism.shares, parallelism.share(rank), split.rows, prepares=rank == 0,
        tokenizer=kept_tokenizer(folder) if config.resume else None, own=own,
    )  # fmt: skip
    weights = weights_of(config, getattr(constructor(config.model).func, "named_weights", None))
    if weights and not config.resume:  # then state and tokenizer are those of the run
        require_paired(*weights, corpus.hf_tokenizer)
    model = build_model(config, corpus, own)
    if config.init and config.resume:
        shape_as_before(model, Path(config.init))
    elif config.init:
        load_initial_weights(model, Path(config.init), trains=compressed)
    compression = compression_of(config, corpus, own) if compressed else []
    regularization = [own.give(constructor(node))() for node in config.regularization.values()]
    for technique in (*regularization, *compression):
        model = technique.transform(model)
    freeze(model, list(config.freeze))
    tokens = round(config.global_batch_size * corpus.tokens_per_sample)
    context = ScheduleContext.fixed(1, tokens)  # the length is known once a step is priced
    objective: Objective = own.give(constructor(config.objective))(
        model=model,
        tokenizer=corpus.hf_tokenizer,
        optimizer=own.give(constructor(config.optimizer)),
        scheduler=own.give(constructor(config.scheduler)),
        context=context,
        token_bytes=corpus.token_bytes(),
        seed=config.seed,
        label_set=corpus.label_set,
    )
    objective.layer_decay = config.layer_decay
    parallelism.check(model)
    objective.spread, objective.clip = parallelism.spread, parallelism.clip
    objective.steps_together = parallelism.same_gradients
    for regularizer in regularization:
        objective.criterion = regularizer.wrap_loss(objective.criterion)
    for technique in compression:
        objective = technique.wrap_loss(objective)
    corpus.collate = objective.collate
    option = constructor(config.model).func
    counted = getattr(option, "trained_by", "gradient") == "counting"
    flops = 0.0 if counted else _flops_per_step(objective, corpus, tokens)
    per_epoch = corpus.samples / config.global_batch_size
    constructor(config.activation_checkpointing)().apply(objective.model)
    constructor(config.compile)().apply(
        objective.model
    )  # once priced: what is compiled is not counted
    steps = total_steps(config.budget, tokens, flops, per_epoch)
    objective.context = context = schedule_context(steps, config.budget, tokens)
    metrics = MetricsFile(folder.metrics, tokens, flops)
    return Assembled(
        corpus, objective, regularization, compression, context, steps, per_epoch, flops, metrics,
        parallelism, counted, getattr(option, "owns", ()), own,
    )  # fmt: skip


def compression_of(
    config: DictConfig, corpus: Corpus, own: OwnGroups | None = None
) -> list[Compression]:
    """The techniques of the config in the order they act.

    Raises:
        InputError: one that needs more text than there is.
    """
    own = own or own_groups(config)
    names = {own.give(constructor(node))(): name for name, node in config.compression.items()}
    techniques = in_order(list(names))
    if techniques != list(names):
        acting = ",".join(names[technique] for technique in techniques)
        log.info("compression=[%s] acts as [%s]", ",".join(names.values()), acting)
    for technique in techniques:
        if technique.rows > corpus.samples:
            raise InputError(
                f"{type(technique).__name__} is to be calibrated on rows={technique.rows} of the "
                f"training text, which has {corpus.samples}: lower rows, or use more text"
            )
    return techniques


def open_corpus(
    config: DictConfig, shares: int = 1, share: int = 0, rows: int | None = None,
    *, prepares: bool = True, tokenizer: Tokenizer | None = None, own: OwnGroups | None = None,
) -> Corpus:  # fmt: skip
    """The corpus, tokenized (or found in the cache) and opened for one share of each batch.

    `rows` are read at a time; None: as many as one process alone would. `tokenizer`: the one of
    a run that is there already; None: that of the config.
    """
    own = own or own_groups(config)
    corpus: Corpus = own.give(constructor(config.corpus))(
        tokenizer=tokenizer or constructor(config.tokenizer)(),
        sequence_length=config.sequence_length,
        batch_size=rows or config.get("micro_batch_size") or split_of(config, Parallelism()).rows,
        seed=config.seed,
        cache_dir=Path(config.paths.cache_dir),
        rank=share,
        world_size=shares,
        reads=constructor(config.objective).func.reads,
    )
    if prepares:
        corpus.prepare_data()
    corpus.setup()
    return corpus


def split_of(config: DictConfig, parallelism: Parallelism) -> Split:
    """Rows that one process takes per micro-step, and micro-steps of an optimizer step.

    Raises:
        InputError: the global batch cannot be shared so.
    """
    try:
        return split_batch(
            config.global_batch_size, parallelism.shares, config.trainer.accumulate_grad_batches,
            config.get("micro_batch_size"), parallelism.micro_batches,
        )  # fmt: skip
    except Uneven as error:
        raise InputError(str(error)) from error


def build_model(config: DictConfig, corpus: Corpus, own: OwnGroups | None = None) -> Any:
    """The model of the config for the vocabulary of the corpus."""
    tokenizer = corpus.hf_tokenizer
    head = objective_head(config)
    own = own or own_groups(config)
    option = own.give(constructor(config.model))(
        vocab_size=corpus.vocab_size,
        context_length=config.sequence_length,
        attention=OmegaConf.to_container(config.attention),
        position=OmegaConf.to_container(config.position),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.eos_token_id,
        **(corpus.label_set.head_settings() if corpus.label_set else {}),
    )
    return option.build(head)


def objective_head(config: DictConfig) -> str:
    """The model head that the objective trains."""
    return str(constructor(config.objective).func.head)


def _flops_per_step(objective: Objective, corpus: Corpus, tokens: int) -> float:
    """Price of one optimizer step, counted on one real row."""
    inputs = objective.model_inputs(corpus.example())
    return training_flops_per_token(objective.model, inputs) * tokens
