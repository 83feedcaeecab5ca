"""Each linear layer as two thin ones."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from loomlab.compression.post_training import Calibrated
from loomlab.errors import InputError
from loomlab.model.reshaped import low_rank, replace


class LowRank(Calibrated):
    """Replace a weight by the product of two thin matrices that changes the outputs least.

    Truncated SVD of the weight times a factor of x x^T, which by Eckart and Young is the best of
    its rank for the text it was measured on (Wang et al. 2024, "SVD-LLM", arXiv 2403.07378,
    section 3.2); without activations, of the weight itself.
    """

    stage = 70
    option = "low_rank"
    conflicts = ("prune_magnitude", "prune_wanda", "prune_sparsegpt", "prune_gradual", "qat")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "the product of its two matrices has no zeros",
        "qat": "training saw the integers of the layers as they were",
    }

    def __init__(
        self,
        keep: Annotated[float, "(0, 1)"] = 0.5,
        rank: Annotated[int, "[1, inf)"] | None = None,
        activations: bool = True,
        damping: Annotated[float, "(0, inf)"] = 1e-4,
        rows: Annotated[int, "[1, inf)"] | None = None,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`keep` is the share of a layer's weights that stays; `rank`, if given, counts instead.

        `activations`: look at what goes into the layers, on `rows` of training text (as many as
        there are, up to 128, if not given), with x x^T damped by `damping`. `targets` are names
        of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets, rows)
        self.keep, self.rank, self.activations, self.damping = keep, rank, activations, damping

    def check(self, layers: dict[str, nn.Linear]) -> None:
        """Two thin layers have to be smaller than the one they replace."""
        for name, layer in layers.items():
            inputs, outputs = layer.in_features, layer.out_features
            if self.rank_of(layer) * (inputs + outputs) >= inputs * outputs:
                most = (inputs * outputs - 1) // (inputs + outputs)
                raise InputError(
                    f"compression.low_rank.rank={self.rank_of(layer)} makes {name} ({outputs} x "
                    f"{inputs}) no smaller: use {most} or less, or leave it out by targets"
                )

    def rank_of(self, layer: nn.Linear) -> int:
        """The rank a layer is cut to."""
        size = layer.in_features * layer.out_features
        share = int(self.keep * size / (layer.in_features + layer.out_features))
        return self.rank or max(share, 1)

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Replace layer after layer; each is measured behind those that are replaced."""
        before, after, count = 0, 0, 0
        for name, layer, gram in self.measured(model):
            made = self.factored(layer, gram if self.activations else None)
            record = {
                "kind": "low_rank", "inputs": layer.in_features, "outputs": layer.out_features,
                "rank": made[0].out_features, "bias": layer.bias is not None,
            }  # fmt: skip
            replace(model, name, made, record)
            before, count = before + layer.weight.numel(), count + 1
            after += sum(part.weight.numel() for part in made if isinstance(part, nn.Linear))
        self._batches = []
        self._figures = {"layers": count, "weights": before, "weights_kept": after}
        return model

    def factored(self, layer: nn.Linear, gram: Tensor | None) -> nn.Sequential:
        """The two layers for one, given what goes in."""
        weight, rank = layer.weight.double(), self.rank_of(layer)
        factor = torch.eye(weight.shape[1], dtype=torch.float64)
        if gram is not None:
            mean = gram.double().diagonal().mean().clamp(min=1e-12)
            factor = torch.linalg.cholesky(gram.double() + factor * self.damping * mean)
        left, values, right = torch.linalg.svd(weight @ factor, full_matrices=False)
        root = values[:rank].sqrt()
        down = torch.linalg.solve_triangular(
            factor, root[:, None] * right[:rank], upper=False, left=False
        )
        made = low_rank(layer.in_features, layer.out_features, rank, layer.bias is not None)
        made[0].weight.data = down.to(layer.weight.dtype).contiguous()
        made[1].weight.data = (left[:, :rank] * root).to(layer.weight.dtype).contiguous()
        made[1].bias = layer.bias
        return made
