"""A Transformer cut by its blocks into stages, of which each process holds one.

Names of weights stay as they are, so that the states of all stages together are that of the
whole model.
"""

# Shapes: B rows, T positions, D width.

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from loomlab.errors import InputError
from loomlab.model.transformer import Transformer, TransformerModel
from loomlab.objective.base import Batch, Objective
from loomlab.position.base import Position

ENTRANCE = ("embedding", "embedding_norm", "embedding_dropout", "position")  # of the first stage


class Elsewhere(nn.Module):
    """In place of what another process holds; hidden states pass through."""

    def forward(self, x_BTD: Tensor, *_: Any, **__: Any) -> Tensor:
        """What came in."""
        return x_BTD


class Told(Position):
    """A position that blocks still ask, but whose embedding is done by the first stage."""

    def __init__(self, origin: Position) -> None:
        sizes = {"width": origin.width, "heads": origin.heads}
        super().__init__(**sizes, context_length=origin.context_length)
        self.origin = (origin,)  # a tuple hides it: its weights are not held here
        self.has_bias, self.extrapolates = origin.has_bias, origin.extrapolates

    def rotate(self, q: Tensor, k: Tensor, position_BT: Tensor) -> tuple[Tensor, Tensor]:
        """As the origin does."""
        return self.origin[0].rotate(q, k, position_BT)

    def bias(self, query_position: Tensor, key_position: Tensor) -> Tensor | None:
        """As the origin does."""
        return self.origin[0].bias(query_position, key_position)


def require_stages(model: nn.Module, stages: int) -> None:
    """Refuse a model that cannot be cut so.

    Raises:
        InputError: it is not built of blocks of this package, or of too few of them.
    """
    if not isinstance(model, TransformerModel) or not hasattr(model, "hidden_states"):
        raise InputError(
            f"parallelism=pipeline: {type(model).__name__} does not say how its blocks follow "
            "each other; use model=gpt or bert, or parallelism=ddp"
        )
    if len(model.blocks()) < stages:
        raise InputError(
            f"parallelism.devices: {stages} stages need as many blocks, and the model has "
            f"model.layers={len(model.blocks())}: give model.layers={stages} or fewer devices"
        )


def own_blocks(blocks: int, stages: int, stage: int) -> range:
    """The blocks of a stage; where they do not divide, later stages take one more."""
    return range(stage * blocks // stages, (stage + 1) * blocks // stages)


def held(model: nn.Module, stages: int, stage: int) -> set[str]:
    """Paths of the modules of a stage, among those the model is cut into."""
    own = own_blocks(len(trunk_of(model).layers), stages, stage)
    prefix = trunk_path(model)
    paths = {f"{prefix}.layers.{number}" for number in own}
    if stage == 0:
        paths |= {f"{prefix}.{name}" for name in ENTRANCE}
    if stage == stages - 1:
        paths |= {path for path in pieces(model) if path == f"{prefix}.norm"}
        paths |= {path for path in pieces(model) if not path.startswith(f"{prefix}.")}
    return paths


def pieces(model: nn.Module) -> list[str]:
    """Paths of all modules the model is cut into."""
    prefix, trunk = trunk_path(model), trunk_of(model)
    found = [name for name, _ in model.named_children() if name != prefix]
    found += [f"{prefix}.{name}" for name, _ in trunk.named_children() if name != "layers"]
    return found + [f"{prefix}.layers.{number}" for number in range(len(trunk.layers))]


def weights_of(model: nn.Module, paths: set[str]) -> set[int]:
    """Identities of the parameters of some modules."""
    return {id(p) for path in paths for p in model.get_submodule(path).parameters()}


def cut(model: nn.Module, stages: int, stage: int) -> None:
    """Leave in the model what a stage holds; the rest is freed."""
    keep = held(model, stages, stage)
    for path in pieces(model):
        if path in keep:
            continue
        module = model.get_submodule(path)
        stand_in = Told(module) if isinstance(module, Position) else Elsewhere()
        model.set_submodule(path, stand_in)


def trunk_path(model: nn.Module) -> str:
    """Where in the model its trunk is."""
    return str(model.base_model_prefix)


def trunk_of(model: nn.Module) -> Transformer:
    """The trunk of a model."""
    trunk = model.get_submodule(trunk_path(model))
    assert isinstance(trunk, Transformer)
    return trunk


class Stage(nn.Module):
    """One stage of an objective's model: hidden states in, hidden states or the loss out.

    Every process reads the whole batch, so that masks and positions need not travel; a stage is
    told the number of the micro-batch. The last one computes the loss by the objective itself.
    """

    def __init__(self, objective: Objective, first: bool, last: bool, context: Any) -> None:
        super().__init__()
        self.objective = (objective,)
        self.trunk = trunk_of(objective.model)
        self.first, self.last, self.context = first, last, context
        self.parts: list[Batch] = []

    def forward(self, *received_BTD: Tensor, part: Tensor | int) -> Tensor:
        """The hidden states (B, T, D) of a micro-batch, or its share of the loss, (1,)."""
        number = int(part)
        batch = self.inputs(self.parts[number], *received_BTD)
        with self.context():
            if not self.last:
                return self.hidden(batch)
            loss = self.objective[0].training_step(batch, number)
        return (loss / len(self.parts))[None]

    def inputs(self, batch: Batch, *received_BTD: Tensor) -> Batch:
        """A batch as the trunk of this stage takes it: ids first, hidden states later."""
        if self.first:
            return batch
        rest = {name: value for name, value in batch.items() if name != "input_ids"}
        return {**rest, "inputs_embeds": received_BTD[0]}

    def hidden(self, batch: Batch) -> Tensor:
        """The hidden states after the blocks of this stage."""
        inputs = self.objective[0].model_inputs(batch)
        hidden_BTD: Tensor = self.trunk(**inputs, use_cache=False).last_hidden_state
        return hidden_BTD
