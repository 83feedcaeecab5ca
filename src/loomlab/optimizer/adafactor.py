"""Adafactor: the second moment of a matrix kept as one row and one column."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import nn

from loomlab.optimizer.groups import decay_groups


class Adafactor(torch.optim.Adafactor):
    """Adam's step with a factored second moment and no momentum: memory of the weights alone.

    Source: Shazeer & Stern 2018, "Adafactor", algorithms 4 to 6; torch's implementation. The rate
    is relative: a weight moves by at most `lr` times its root mean square (at least
    `minimum_scale`), and less than that in the first steps. Norms, biases and embeddings do not
    decay (`decay_groups`).

    Raises:
        InputError: a model without trainable parameters.
    """

    tensor_parallel = False
    cut_up = False  # of weights that are cut up over processes

    def __init__(
        self,
        lr: Annotated[float, "(0, inf)"] = 1e-2,
        beta2_decay: Annotated[float, "[-1, 0]"] = -0.8,
        clip: Annotated[float, "[1, inf)"] = 1.0,
        minimum_scale: Annotated[float, "[0, inf)"] = 1e-3,
        weight_decay: Annotated[float, "[0, inf)"] = 0.0,
        *,
        model: nn.Module,
    ) -> None:
        """`clip` bounds an update's root mean square; beta2 of step t is 1 - t^beta2_decay."""
        super().__init__(
            decay_groups(model, weight_decay),
            lr=lr,
            beta2_decay=beta2_decay,
            eps=(None, minimum_scale),
            d=clip,
            weight_decay=weight_decay,
        )
