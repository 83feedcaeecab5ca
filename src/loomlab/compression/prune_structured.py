"""Take out whole blocks, heads and channels, so that tensors really get smaller."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from loomlab.compression.calibration import each_layer
from loomlab.compression.fewer_blocks import Likeness, only_stack, without
from loomlab.compression.narrowing import (
    ATTENTION,
    FEED_FORWARD,
    Narrowable,
    channels_of,
    heads_of,
    narrow,
    scores,
)
from loomlab.compression.post_training import Calibrated
from loomlab.compression.targets import linear_layers
from loomlab.errors import InputError


class PruneStructured(Calibrated):
    """Drop the blocks that change least, then heads and channels that add least to the output.

    A head's or channel's score is the sum of squares of what it adds, for channels that of Wanda
    (Sun et al. 2023, arXiv 2306.11695) over a whole column. The layer that reads what is kept is
    solved anew by least squares, as Kwon et al. 2022 (arXiv 2204.09656, section 4.3) do with
    masks. Nothing makes up for a block; train on (`init=`) where many go.
    """

    stage = 55
    option = "prune_structured"
    conflicts = ("prune_magnitude", "prune_gradual", "qat")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "the layers that it solves anew have no zeros",
        "qat": "the integers that training saw are of the layers as they were",
    }

    def __init__(
        self,
        channels: Annotated[float, "[0, 1)"] = 0.25,
        heads: Annotated[float, "[0, 1)"] = 0.0,
        layers: Annotated[float, "[0, 1)"] = 0.0,
        layers_by: Literal["influence", "angle"] = "influence",
        multiple: Annotated[int, "[1, inf)"] = 8,
        damping: Annotated[float, "(0, inf)"] = 1e-3,
        rows: Annotated[int, "[1, inf)"] | None = None,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """Drop these shares of the blocks (`layers`), and of each one's `heads` and `channels`.

        `layers_by` influence: one by one (Men et al. 2024, arXiv 2403.03853); angle: a run of
        them (Gromov et al. 2024, arXiv 2403.17887). A `multiple` of channels stays. Heads that
        share keys and values go together. `damping` is that of the least squares. `rows` of
        training text are read (as many as there are, up to 128, if not given). `targets` are
        names of the layers that read heads or channels (or globs); empty means all.
        """
        super().__init__(targets, rows)
        if not channels + heads + layers:
            raise InputError(
                "compression.prune_structured: channels, heads and layers are all 0, so nothing "
                "would go; raise one of them"
            )
        self.channels, self.heads, self.blocks, self.by = channels, heads, layers, layers_by
        self.multiple, self.damping = multiple, damping

    def transform(self, model: nn.Module) -> nn.Module:
        """Nothing but the check that there is something to drop.

        Raises:
            InputError: there is not, a target is no such layer, or the model is built otherwise.
        """
        self.narrowable(model)
        if self.blocks:
            self._stack(model)
        return model

    def narrowable(self, model: nn.Module) -> dict[str, Narrowable]:
        """The layers that read heads or channels of which some go."""
        if not self.heads and not self.channels:
            return {}
        every = linear_layers(model, [], self.option)
        chosen = linear_layers(model, self.targets, self.option)
        found: dict[str, Narrowable] = {}
        for name in chosen:
            at = heads_of(model, name, every, self.option) if self.heads else None
            at = at or (channels_of(name, every) if self.channels else None)
            if at is not None:
                found[name] = at
        self._require(found, sorted(chosen.keys() - found.keys()))
        self._require_heads(model, [at for at in found.values() if at.heads])
        return found

    def layers(self, model: nn.Module) -> dict[str, nn.Linear]:
        """The layers that read what is dropped."""
        every = linear_layers(model, [], self.option)
        return {name: every[name] for name in self.narrowable(model)}

    def _require(self, found: dict[str, Narrowable], others: list[str]) -> None:
        """Every target reads something, and without targets each kind that is to go is there."""
        wrong = others if self.targets else []
        kinds = {at.heads for at in found.values()}
        wanted = {False: self.channels, True: self.heads}
        missing = [heads for heads, share in wanted.items() if share and heads not in kinds]
        if not wrong and found and (self.targets or not missing):
            return
        culprit = f"{wrong[0]} reads none" if wrong else "no layer of this model reads one"
        named = {
            False: f"channels of a feed-forward block; known are layers that end in "
            f"{', '.join(FEED_FORWARD)}",
            True: f"heads of an attention; known are layers that end in {', '.join(ATTENTION)}",
        }
        what = ", or of the ".join(
            text for heads, text in named.items() if heads in missing or (wrong and wanted[heads])
        )
        raise InputError(f"compression.prune_structured: {culprit} of the {what}")

    def _require_heads(self, model: nn.Module, found: list[Narrowable]) -> None:
        """Some of the heads go, and no bias of positions is of all of them."""
        biased = next((m for m in model.modules() if getattr(m, "has_bias", False)), None)
        if found and biased is not None:
            raise InputError(
                f"compression.prune_structured.heads: {type(biased).__name__} has a bias for each "
                "head, the same in all blocks; use position=rope, or heads=0"
            )
        for at in found:
            if self.staying(at) == at.units:
                raise InputError(
                    f"compression.prune_structured.heads={self.heads} of {at.units} in {at.owner} "
                    f"(those that share keys and values count once) is none: give at least "
                    f"{1 / at.units:.3g}, and more than one to choose from, or 0"
                )

    def _stack(self, model: nn.Module) -> tuple[str, int]:
        """The list of blocks, and how many of them go."""
        key = f"compression.{self.option}.layers"
        stem = only_stack(model, list(linear_layers(model, [], self.option)), key)
        total = len(list(model.get_submodule(stem).children()))
        count = min(round(self.blocks * total), total - 1)
        if not count:
            raise InputError(
                f"{key}={self.blocks} of {total} blocks is none: give at least {1 / total:.3g} of "
                "at least 2, or 0"
            )
        return stem, count

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Drop blocks, then narrow block after block, each measured behind those narrowed."""
        before = sum(p.numel() for p in model.parameters())
        self._figures = {}
        readers = list(self.layers(model).values())  # by themselves: blocks that go change names
        if self.blocks:
            stem, count = self._stack(model)
            gone = Likeness(model, stem, self._batches).drop(count, self.by)
            without(model, stem, gone)
            self._figures["layers_dropped"] = float(count)
        self._narrow(model, {id(reader) for reader in readers})
        self._batches = []
        after = sum(p.numel() for p in model.parameters())
        self._figures["weights_dropped"] = float(before - after)
        return model

    def _narrow(self, model: nn.Module, chosen: set[int]) -> None:
        every = linear_layers(model, [], self.option)
        readers = {name: layer for name, layer in every.items() if id(layer) in chosen}
        for name, reader, gram in each_layer(model, readers, self._batches):
            at = heads_of(model, name, every, self.option) if self.heads else None
            at = at or channels_of(name, every)
            assert at is not None, name
            kept_K = self.kept(reader.weight, gram, at)
            narrow(model, at, every, gram, kept_K, self.damping)
            kind = "heads_dropped" if at.heads else "channels_dropped"
            self._figures[kind] = self._figures.get(kind, 0.0) + at.units - len(kept_K)

    def staying(self, at: Narrowable) -> int:
        """How many units stay."""
        if at.heads:
            return max(round((1 - self.heads) * at.units), 1)
        wanted = (1 - self.channels) * at.units / self.multiple
        return min(max(round(wanted), 1) * self.multiple, at.units)

    def kept(self, weight_OF: Tensor, gram: Tensor, at: Narrowable) -> Tensor:
        """Which units stay (K), in their order."""
        order = scores(weight_OF, gram, at.units).argsort(descending=True, stable=True)
        return order[: self.staying(at)].sort().values
