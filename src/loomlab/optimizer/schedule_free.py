"""Schedule-free AdamW: an average of the weights in place of a decaying rate."""

from __future__ import annotations

from typing import Annotated

import schedulefree
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.averaging import remember, restore
from loomlab.optimizer.groups import check_betas, decay_groups


class ScheduleFree(schedulefree.AdamWScheduleFree):
    """AdamW that trains at a point between its weights and their average, and answers with it.

    Source: Defazio et al. 2024, "The Road Less Scheduled", equations 2 to 4; the authors' library.
    Meant for scheduler=constant, whose warm-up it takes. Held-out numbers, samples, the best
    checkpoint and the saved model are those of the average: the objective calls `eval()` before a
    validation and `train()` before the next batch. Norms, biases and embeddings do not decay
    (`decay_groups`).

    Raises:
        InputError: betas out of range, or a model without trainable parameters.
    """

    momentum_may_change = False
    shows = "average"  # of the weights, in validations and in what is saved

    def __init__(
        self,
        lr: Annotated[float, "(0, inf)"] = 2.5e-3,
        betas: list[float] = [0.9, 0.99],  # noqa: B006 - read as a literal, never changed
        eps: Annotated[float, "(0, inf)"] = 1e-8,
        weight_decay: Annotated[float, "[0, inf)"] = 0.1,
        average_power: Annotated[float, "[0, inf)"] = 0.0,
        *,
        model: nn.Module,
    ) -> None:
        """`average_power` r weighs step k by k^r in the average (the paper's r)."""
        first, second = check_betas(betas, "optimizer.betas")
        if first == 0:
            raise InputError("optimizer.betas: the first must be above 0; use, say, [0.9, 0.99]")
        super().__init__(
            decay_groups(model, weight_decay),
            lr=lr,
            betas=(first, second),
            eps=eps,
            weight_decay=weight_decay,
            r=average_power,
        )
        super().train()  # whoever makes an optimizer may step it, trainer or not

    def eval(self) -> None:
        """Put the average into the weights."""
        remember(self)
        super().eval()

    def train(self) -> None:
        """Put the weights back as they are in training."""
        super().train()
        restore(self)
