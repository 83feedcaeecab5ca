"""A run built on paper: its real classes, without text, weights or further processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.strategies import ModelParallelStrategy
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import PreTrainedTokenizerFast

from loomlab.compression.base import in_order
from loomlab.errors import InputError
from loomlab.objective.base import Batch, Objective
from loomlab.optimizer.layers import freeze
from loomlab.parallelism.base import Parallelism
from loomlab.run.assembly import objective_head, own_groups, split_of
from loomlab.run.constructor import constructor
from loomlab.run.own_groups import OwnGroups
from loomlab.scheduler.context import ScheduleContext
from loomlab.text.samples import Samples


@dataclass
class Paper:
    """An objective whose weights are on the meta device, spread for one rank, and a batch."""

    config: DictConfig
    objective: Objective
    parallelism: Parallelism
    rows: int  # of a micro-step of one process
    batch: Batch


@contextlib.contextmanager
def cluster(world_size: int, rank: int = 0) -> Iterator[None]:
    """A process group of that many processes, of which there is only this one."""
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world_size)
    try:
        yield
    finally:
        dist.destroy_process_group()


def paper_of(config: DictConfig) -> Paper:
    """Build the run of a config, inside `cluster`.

    Raises:
        InputError: it cannot be spread so, or is nothing that is trained by steps on windows.
    """
    parallelism: Parallelism = constructor(config.parallelism)()
    rows = split_of(config, parallelism).rows
    tokenizer, vocab_size = vocabulary(config)
    own = own_groups(config)
    model = _model(config, own, tokenizer, vocab_size)
    regularization = [own.give(constructor(node))() for node in config.regularization.values()]
    compression = in_order([own.give(constructor(node))() for node in config.compression.values()])
    with torch.device("meta"):
        for technique in (*regularization, *compression):
            model = technique.transform(model)
    freeze(model, list(config.freeze))
    objective: Objective = own.give(constructor(config.objective))(
        model=model,
        tokenizer=tokenizer,
        optimizer=own.give(constructor(config.optimizer)),
        scheduler=own.give(constructor(config.scheduler)),
        context=ScheduleContext.fixed(1, config.global_batch_size * config.sequence_length),
        seed=config.seed,
    )
    objective.layer_decay = config.layer_decay
    for regularizer in regularization:
        objective.criterion = regularizer.wrap_loss(objective.criterion)
    for technique in compression:
        objective = technique.wrap_loss(objective)
    parallelism.check(model)
    constructor(config.activation_checkpointing)().apply(model)
    batch = objective.collate(_windows(config, rows, len(tokenizer)))
    return Paper(config, objective, parallelism, rows, batch)


def vocabulary(config: DictConfig) -> tuple[PreTrainedTokenizerFast, int]:
    """A tokenizer that has learned nothing, and the vocabulary it would have."""
    option = constructor(config.tokenizer)()
    tokenizer = option.train(())
    return tokenizer, max(len(tokenizer), int(getattr(option, "vocab_size", 0) or 0))


def _model(
    config: DictConfig, own: OwnGroups, tokenizer: PreTrainedTokenizerFast, vocab_size: int
) -> Any:
    node, objective = own.give(constructor(config.model)), constructor(config.objective).func
    if getattr(node.func, "trained_by", "gradient") != "gradient":
        raise InputError("model: counts take no steps that could be planned; choose another model")
    if objective.reads != "windows":
        raise InputError(
            f"objective: {objective.__name__} reads rows, whose length only the text "
            "tells; plan it as objective=clm or mlm with the sequence_length of a row"
        )
    option = node(
        vocab_size=vocab_size,
        context_length=config.sequence_length,
        attention=OmegaConf.to_container(config.attention),
        position=OmegaConf.to_container(config.position),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.eos_token_id,
    )
    trained_before = getattr(option, "name", None) or getattr(option, "package", None)
    with contextlib.nullcontext() if trained_before else torch.device("meta"):
        return option.build(objective_head(config)).to("meta")


def _windows(config: DictConfig, rows: int, vocab_size: int) -> Samples:
    shape = (rows, config.sequence_length + 1)
    documents = torch.zeros(shape, dtype=torch.long) if config.corpus.document_mask else None
    place_B = torch.arange(rows)
    return Samples(torch.randint(vocab_size, shape), documents, place_B, torch.zeros_like(place_B))


def spread(paper: Paper) -> None:
    """Cut the model up as the process of this rank would."""
    strategy = paper.parallelism.strategy(Path())
    mesh = None
    if isinstance(strategy, ModelParallelStrategy):
        sizes = (int(strategy._data_parallel_size), int(strategy._tensor_parallel_size))
        mesh = init_device_mesh("cpu", sizes, mesh_dim_names=("data_parallel", "tensor_parallel"))
    paper.parallelism.spread(paper.objective.model, mesh)
