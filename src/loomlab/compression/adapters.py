"""Bottleneck adapters: narrow residual MLPs between the layers of a frozen model."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import nn

from loomlab.compression.adapted import PartlyTrained, new_heads
from loomlab.errors import InputError
from loomlab.model.reshaped import Adapter, replace

# How models call the last layer of attention and that of the MLP: ours, then those of Transformers
AFTER_ATTENTION = (
    "attention.out", "attention.output.dense", "self_attn.o_proj", "self_attn.out_proj",
    "attn.out_proj", "attn.c_proj", "attention.out_lin", "attention.dense", "SelfAttention.o",
    "attention.out_proj", "self_attention.dense", "self_attn.dense", "attn.Wo",
)  # fmt: skip
AFTER_MLP = (
    "mlp.out", "output.dense", "mlp.down_proj", "mlp.c_proj", "ffn.lin2", "fc2", "fc_out",
    "mlp.dense_4h_to_h", "DenseReluDense.wo", "mlp.Wo",
)  # fmt: skip


class Adapters(PartlyTrained):
    """Train a narrow MLP after attention and after each MLP, the rest frozen; they stay in place.

    Houlsby et al. 2019, arXiv 1902.00751; with placement=pfeiffer after the MLPs alone (Pfeiffer
    et al. 2021, arXiv 2005.00247). They cannot be merged: the saved model has them as layers.
    """

    option = "adapters"
    conflicts = (
        "lora", "dora", "pissa", "vera", "ia3", "oft", "prefix_tuning", "qlora",
        "prune_magnitude", "prune_gradual", "qat", "prune_structured",
    )  # fmt: skip
    because = {
        "model.trained_by": "adapters are trained by gradient",
        "prune_structured": "the adapters read the outputs of the layers that it narrows",
        "conflicts": "all else is frozen, so nothing else may train, prune or round it",
    }

    def __init__(
        self,
        bottleneck: Annotated[int, "[1, inf)"] = 32,
        placement: Literal["houlsby", "pfeiffer"] = "houlsby",
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`bottleneck` is the width of an adapter.

        `targets` are names of the layers after which one is put (or globs), whatever `placement`
        says; empty means the last layers of attention and MLP in each block.
        """
        super().__init__(targets)
        self.bottleneck = bottleneck
        both = placement == "houlsby"
        self.after = AFTER_ATTENTION + AFTER_MLP if both else AFTER_MLP
        self.but = () if both else AFTER_ATTENTION

    def chosen(self, model: nn.Module) -> dict[str, nn.Module]:
        """The last layers of branches, unless others are named.

        Raises:
            InputError: a target names no layer, or no layer is known as the last of a branch.
        """
        found = super().chosen(model)
        if self.targets:
            return found
        known = {n: m for n, m in found.items() if _ends(n, self.after) and not _ends(n, self.but)}
        if not known:
            ends = sorted({name.rpartition(".")[2] for name in found})
            raise InputError(
                "compression.adapters: which layers of this model end a branch is not known; name "
                f"those to put one after by compression.adapters.targets: it has {', '.join(ends)}"
            )
        return known

    def transform(self, model: nn.Module) -> nn.Module:
        """Freeze the model and put an adapter after each of the layers.

        Raises:
            InputError: a target that names no layer.
        """
        layers = self.chosen(model)
        model.requires_grad_(False)
        for head in new_heads(model):
            model.get_submodule(head).requires_grad_(True)
        for name, layer in layers.items():
            record = {"kind": "adapter", "bottleneck": self.bottleneck}
            replace(model, name, Adapter(layer, self.bottleneck), record)
        self.count(model)
        return model


def _ends(name: str, ends: tuple[str, ...]) -> bool:
    return f".{name}".endswith(tuple(f".{end}" for end in ends))
