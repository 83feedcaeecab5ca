"""Low-rank adapters, through peft."""

from __future__ import annotations

from typing import Annotated, Any, cast

from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils.error import NoMatchingPeftModuleError
from torch import nn

from loomlab.compression.base import Compression
from loomlab.errors import InputError


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
        """Put adapters beside the linear layers; the model keeps its class.

        Raises:
            InputError: no layer has one of the names in `targets`.
        """
        linear = {n.rpartition(".")[2] for n, m in model.named_modules() if hasattr(m, "weight")}
        try:
            wrapped = get_peft_model(cast(Any, model), LoraConfig(**self.settings))
        except NoMatchingPeftModuleError as error:
            raise InputError(
                f"compression.lora.targets={self.settings['target_modules']}: this model has no "
                f"such layers; it has {', '.join(sorted(linear))}"
            ) from error
        self._wrapped = cast(PeftModel, wrapped)
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
