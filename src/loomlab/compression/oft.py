"""Rotations of what goes into layers, through peft."""

from __future__ import annotations

from typing import Annotated, Any, cast

from peft import OFTConfig, PeftConfig
from torch import nn

from loomlab.compression.adapted import Adapted
from loomlab.errors import InputError

BLOCKS = (32, 16, 8, 4, 2)


class OFT(Adapted):
    """Train rotations of blocks of inputs, which keep all angles and lengths; merged on export.

    Qiu et al. 2023, arXiv 2306.07280; rotating inputs instead of weights is Qiu et al. 2025,
    arXiv 2506.19847.
    """

    option = "oft"
    matrices = False
    kinds = (nn.Linear,)

    def __init__(
        self,
        block_size: Annotated[int, "[2, inf)"] | None = None,
        dropout: Annotated[float, "[0, 1)"] = 0.0,
        exact: bool = False,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`block_size` inputs are rotated together; None takes the largest of 32, 16, 8, 4, 2
        that divides all layers.

        `exact` inverts a matrix for each block where else a series of five terms does. `targets`
        are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets)
        self.block_size = block_size
        self.settings: dict[str, Any] = {
            "module_dropout": dropout, "use_cayley_neumann": not exact,
        }  # fmt: skip

    def config(self, layers: dict[str, nn.Module], **common: Any) -> PeftConfig:
        """Settings of OFT, with a block that divides every layer."""
        widths = {name: cast(nn.Linear, layer).in_features for name, layer in layers.items()}
        offered = [self.block_size] if self.block_size else BLOCKS
        size = next((b for b in offered if all(w % b == 0 for w in widths.values())), None)
        if size is None:
            wrong, width = next((n, w) for n, w in widths.items() if w % offered[-1])
            raise InputError(
                f"compression.oft.block_size: {wrong} has {width} inputs, which no block of "
                f"{' or '.join(map(str, offered))} divides: use another size, or leave the layer "
                "out by targets"
            )
        return OFTConfig(oft_block_size=size, **self.settings, **common)
