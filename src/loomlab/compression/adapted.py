"""What parameter-efficient methods share: a model that is frozen but for small parts of it."""

from __future__ import annotations

import re
from typing import Any, ClassVar, cast

from peft import PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers.pytorch_utils import Conv1D

from loomlab.compression.base import Compression
from loomlab.compression.targets import linear_layers
from loomlab.errors import InputError

LINEAR = (nn.Linear, Conv1D)  # Conv1D is what GPT-2 of Transformers is made of


class PartlyTrained(Compression):
    """A method that trains small parts of its own, the model itself frozen.

    `kinds` are the layers it acts on, `option` is its name in messages. A head that a classifier
    did not have before is trained as well.
    """

    stage = 20
    option = ""
    kinds: tuple[type[nn.Module], ...] = LINEAR
    conflicts = (
        "lora", "dora", "pissa", "vera", "ia3", "oft", "adapters", "prefix_tuning", "qlora",
        "prune_magnitude", "prune_gradual", "qat",
    )  # fmt: skip
    requires: ClassVar[dict[str, tuple[Any, ...]]] = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "adapters are trained by gradient",
        "conflicts": "each freezes what the other trains",
        "prune_magnitude": "the weights that it prunes are frozen",
        "prune_gradual": "the weights that it prunes are frozen",
        "qat": "the weights that it rounds are frozen",
    }

    def __init__(self, targets: list[str]) -> None:
        self.targets = list(targets)
        self._figures: dict[str, float] = {}

    def chosen(self, model: nn.Module) -> dict[str, nn.Module]:
        """The layers to act on, by name.

        Raises:
            InputError: a target that names none.
        """
        found = linear_layers(model, self.targets, self.option, self.kinds)
        heads = new_heads(model)
        inside = {n: layer for n, layer in found.items() if n.split(".")[0] not in heads}
        if not inside:
            raise InputError(
                f"compression.{self.option}.targets={self.targets}: these layers belong to the "
                f"head ({', '.join(heads)}), which is new and trained as a whole: name others"
            )
        return cast(dict[str, nn.Module], inside)

    def count(self, model: nn.Module) -> None:
        """Note how much of a model is trained."""
        every = {id(p): p for p in model.parameters()}.values()
        self._figures = {
            "trainable_parameters": float(sum(p.numel() for p in every if p.requires_grad)),
            "parameters": float(sum(p.numel() for p in every)),
        }

    def finalize(self, model: nn.Module) -> nn.Module:
        """Take the frost off."""
        return model.requires_grad_(True)

    def report(self) -> dict[str, float]:
        """Trainable and total parameters while training."""
        return dict(self._figures)


class Adapted(PartlyTrained):
    """One that trains parts beside linear layers and merges them into the weights."""

    def __init__(self, targets: list[str]) -> None:
        super().__init__(targets)
        self._wrapped: PeftModel | None = None

    def config(self, layers: dict[str, nn.Module], **common: Any) -> PeftConfig:
        """The configuration of peft for layers by name; `common` is what every method takes."""
        raise TypeError(f"{type(self).__name__} does not say how it is configured")

    def transform(self, model: nn.Module) -> nn.Module:
        """Put the trained parts beside the linear layers; the model keeps its class.

        Raises:
            InputError: a target that names no layer.
        """
        layers = self.chosen(model)
        turned = any(isinstance(layer, Conv1D) for layer in layers.values())
        common: dict[str, Any] = {"target_modules": either(layers), "fan_in_fan_out": turned}
        wrapped = get_peft_model(cast(Any, model), self.config(layers, **common))
        for head in new_heads(model):  # peft would train a copy, and cannot merge all heads
            model.get_submodule(head).requires_grad_(True)
        self._wrapped = cast(PeftModel, wrapped)
        self.count(model)
        return cast(nn.Module, self._wrapped.base_model.model)

    def finalize(self, model: nn.Module) -> nn.Module:
        """Merge the trained parts into the weights, so that no peft name is left."""
        assert self._wrapped is not None, "finalize before transform"
        self._wrapped.base_model.model = model  # of a run that was spread it is another object
        return super().finalize(cast(Any, self._wrapped).merge_and_unload())


def either(names: Any) -> str:
    """A regular expression for exactly these names: a list would be read as ends of names."""
    return "|".join(re.escape(name) for name in names)


def new_heads(model: nn.Module) -> list[str]:
    """The children of a classifier beside its trunk: its head, new and trained as a whole.

    Of a language model nothing is: its head is as trained as the rest.
    """
    if not type(model).__name__.endswith(("ForSequenceClassification", "ForTokenClassification")):
        return []
    trunk = getattr(model, "base_model_prefix", "")
    return [n for n, m in model.named_children() if n != trunk and list(m.parameters())]
