"""Low-rank adapters, through peft."""

from __future__ import annotations

from typing import Annotated, Any, cast

from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from loomlab.compression.base import Compression


class LoRA(Compression):
    """Train low-rank updates of the linear layers, the rest frozen; merged on export.

    Hu et al. 2021, arXiv 2106.09685.
    """

    stage = 20
    requires = {"model.trained_by": ("gradient",)}
    because = {"model.trained_by": "adapters are trained by gradient"}

    def __init__(
        self,
        rank: Annotated[int, "[1, inf)"] = 8,
        alpha: Annotated[float, "(0, inf)"] = 16.0,
        dropout: Annotated[float, "[0, 1)"] = 0.0,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`targets` are suffixes of layer names; empty means every linear layer but the head."""
        self.settings: dict[str, Any] = {
            "r": rank,
            "lora_alpha": alpha,
            "lora_dropout": dropout,
            "target_modules": list(targets) or "all-linear",
        }
        self._wrapped: PeftModel | None = None

    def transform(self, model: nn.Module) -> nn.Module:
        """Put adapters beside the linear layers; the model keeps its class."""
        self._wrapped = cast(
            PeftModel, get_peft_model(cast(Any, model), LoraConfig(**self.settings))
        )
        trainable, total = self._wrapped.get_nb_trainable_parameters()
        self._figures = {"trainable_parameters": float(trainable), "parameters": float(total)}
        return cast(nn.Module, self._wrapped.base_model.model)

    def finalize(self, model: nn.Module) -> nn.Module:
        """Merge the adapters into the weights, so that no peft name is left."""
        assert self._wrapped is not None, "finalize before transform"
        merged = cast(nn.Module, cast(Any, self._wrapped).merge_and_unload())
        for parameter in merged.parameters():
            parameter.requires_grad_(True)
        return merged

    def report(self) -> dict[str, float]:
        """Trainable and total parameters while training."""
        return dict(self._figures)
