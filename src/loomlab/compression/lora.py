"""Low-rank adapters, through peft."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from peft import LoraConfig, PeftConfig
from torch import nn

from loomlab.compression.adapted import Adapted


class LoRA(Adapted):
    """Train low-rank updates of the linear layers, the rest frozen; merged on export.

    Hu et al. 2021, arXiv 2106.09685. `method`: dora trains the length of each column of a weight
    apart from its direction (Liu et al. 2024, arXiv 2402.09353); pissa trains the largest
    singular values and vectors and freezes the others (Meng et al. 2024, arXiv 2404.02948).
    """

    tensor_parallel = True  # but for dora, see parallelism/tp.py
    cut_up = True

    def __init__(
        self,
        rank: Annotated[int, "[1, inf)"] = 8,
        alpha: Annotated[float, "(0, inf)"] = 16.0,
        dropout: Annotated[float, "[0, 1)"] = 0.0,
        method: Literal["lora", "dora", "pissa"] = "lora",
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`targets` are names of layers (or globs); empty means all of the trunk."""
        super().__init__(targets)
        self.option = method
        self.settings: dict[str, Any] = {
            "r": rank,
            "lora_alpha": alpha,
            "lora_dropout": dropout,
            "use_dora": method == "dora",
            "init_lora_weights": "pissa" if method == "pissa" else True,
        }

    def config(self, layers: dict[str, nn.Module], **common: Any) -> PeftConfig:
        """Settings of LoRA."""
        return LoraConfig(**self.settings, **common)
