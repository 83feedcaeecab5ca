"""Adapters that share two frozen random matrices, through peft."""

from __future__ import annotations

from typing import Annotated, Any

from peft import PeftConfig, VeraConfig
from torch import nn

from loomlab.compression.adapted import Adapted


class VeRA(Adapted):
    """Train two vectors per layer that scale one random low-rank pair for all; merged on export.

    Kopiczko et al. 2023, arXiv 2310.11454. It trains far fewer numbers than LoRA at the same rank
    and wants a larger rank and rate.
    """

    option = "vera"
    matrices = False

    def __init__(
        self,
        rank: Annotated[int, "[1, inf)"] = 256,
        start: Annotated[float, "(0, inf)"] = 0.1,
        dropout: Annotated[float, "[0, 1)"] = 0.0,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`start` is what the vector of the rank begins with; the other one begins with zeros.

        `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets)
        self.settings: dict[str, Any] = {"r": rank, "d_initial": start, "vera_dropout": dropout}

    def config(self, layers: dict[str, nn.Module], **common: Any) -> PeftConfig:
        """Settings of VeRA; the random matrices are kept in checkpoints."""
        return VeraConfig(**self.settings, **common)
