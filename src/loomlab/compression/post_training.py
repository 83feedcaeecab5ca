"""What techniques share that act once, on the finished model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from loomlab.compression.base import Compression
from loomlab.compression.calibration import (
    DEFAULT_ROWS,
    Batch,
    each_layer,
    gram_of,
    take_rows,
)
from loomlab.compression.masks import n_of_m, sparsity_of
from loomlab.compression.targets import linear_layers


class PostTraining(Compression):
    """A technique that changes linear layers one after the other when training is over.

    `option` is its name in messages. That the targets exist is checked before training.
    """

    changes_outputs = True
    tensor_parallel = True  # it acts on the gathered weights, in one process
    cut_up = True
    option = ""

    def __init__(self, targets: list[str]) -> None:
        self.targets = list(targets)
        self._figures: dict[str, float] = {}

    def check(self, layers: dict[str, nn.Linear]) -> None:
        """Refuse layers that this technique cannot act on."""

    def transform(self, model: nn.Module) -> nn.Module:
        """Nothing but the check that the layers are there and fit.

        Raises:
            InputError: they are not, or do not.
        """
        self.check(linear_layers(model, self.targets, self.option))
        return model

    def layers(self, model: nn.Module) -> dict[str, nn.Linear]:
        """The layers to act on, by name."""
        found = linear_layers(model, self.targets, self.option)
        self.check(found)
        return found

    def report(self) -> dict[str, float]:
        """Figures of the layers acted on."""
        return dict(self._figures)


class Calibrated(PostTraining):
    """One that looks at what goes into the layers, on rows of the training text."""

    def __init__(self, targets: list[str], rows: int | None) -> None:
        super().__init__(targets)
        self.rows = rows or 0
        self._batches: list[Batch] = []

    def calibrate(self, batches: Iterable[dict[str, Any]]) -> None:
        """Keep the rows that are asked for."""
        self._batches = take_rows(batches, self.rows or DEFAULT_ROWS)

    def measure(self, x_NI: Tensor) -> Tensor:
        """What of some inputs is looked at: x x^T."""
        return gram_of(x_NI)

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        """Put what was measured of some inputs and of others together."""
        return one + other

    def measured(self, model: nn.Module) -> Iterator[tuple[str, nn.Linear, Tensor]]:
        """Each layer with what is measured of its inputs; change it before the next is asked."""
        assert self._batches, "finalize before calibrate"
        layers = self.layers(model)
        yield from each_layer(model, layers, self._batches, self.measure, self.merge)


class Pruner(Calibrated):
    """One that replaces weights by sparse ones, given what goes into the layers."""

    def __init__(
        self, targets: list[str], rows: int | None, sparsity: float, pattern: str | None
    ) -> None:
        super().__init__(targets, rows)
        self.sparsity, self.pattern = sparsity, pattern
        self.shape: tuple[int, int] | None = None  # N of M

    def check(self, layers: dict[str, nn.Linear]) -> None:
        """The pattern fits every layer."""
        self.shape = n_of_m(self.pattern, layers, self.option)

    def sparse(self, layer: nn.Linear, gram: Tensor) -> Tensor:
        """The new weight."""
        raise TypeError(f"{type(self).__name__} does not say what it prunes")

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Prune layer after layer."""
        for _, layer, gram in self.measured(model):
            layer.weight.copy_(self.sparse(layer, gram))
        self._batches = []
        self._figures = sparsity_of(self.layers(model))
        return model
