"""Lightning's Trainer with the few settings that every run of ours has."""

from __future__ import annotations

import math
from typing import Annotated, Any

import pytorch_lightning as pl

VALIDATIONS_PER_RUN = 5
VALIDATION_INTERVAL_IF_TIMED = 200
WORTHWHILE = 8  # batches of a validation; rather fewer validations than shorter ones
PASSES_OF_A_STEP = 3  # a training step takes as long as scoring its batch three times


class Trainer(pl.Trainer):
    """Lightning Trainer; any other argument of pytorch_lightning.Trainer is added with `+`."""

    problem_check = "loomlab.trainer.checks.decided_elsewhere"

    def __init__(
        self,
        gradient_clip_val: Annotated[float, "[0, inf)"] | None = 1.0,
        accumulate_grad_batches: Annotated[int, "[1, inf)"] | None = None,
        log_every_n_steps: Annotated[int, "[1, inf)"] = 10,
        val_every_n_steps: Annotated[int, "[1, inf)"] | None = None,
        val_every_n_epochs: Annotated[float, "(0, inf)"] | None = None,
        val_at_start: bool = False,
        limit_val_batches: Annotated[int, "[1, inf)"] | None = None,
        val_share: Annotated[float, "(0, inf)"] = 0.2,
        *,
        total_steps: int | None,
        steps_per_epoch: float = math.inf,
        **lightning: Any,
    ) -> None:
        """Lay the run out over `total_steps` optimizer steps (None: the budget is wall-clock).

        `val_every_n_steps` counts optimizer steps, `val_every_n_epochs` passes over the corpus;
        neither means five validations over the budget, fewer if it is short. `val_at_start` adds
        one before the first step, which says what the weights can do that a run begins with.
        Validations take about `val_share` of training's time: each reads so many batches, evenly
        spread over the held-out text and always the same, while the numbers at the end of a run
        are those of all of it. `limit_val_batches` says instead how many batches are read, then
        and at the end. `accumulate_grad_batches` of None follows from micro_batch_size; it is 1
        without.
        """
        self.val_at_start = val_at_start
        accumulate = accumulate_grad_batches or 1
        paid = val_share * PASSES_OF_A_STEP * accumulate  # validation batches for each step
        most = math.inf if limit_val_batches else paid
        every = val_every_n_steps or _interval(total_steps, most)
        if val_every_n_epochs is not None:
            every = max(1, math.ceil(val_every_n_epochs * steps_per_epoch))
        self.validation_batches = max(1, int(paid * min(every, total_steps or every)))
        super().__init__(
            gradient_clip_val=gradient_clip_val,
            accumulate_grad_batches=accumulate,
            log_every_n_steps=log_every_n_steps,
            limit_val_batches=limit_val_batches,
            val_check_interval=every * accumulate,
            check_val_every_n_epoch=None,
            max_steps=-1 if total_steps is None else total_steps,
            max_epochs=-1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            **lightning,
        )


def _interval(total_steps: int | None, paid: float) -> int:
    if total_steps is None:
        return VALIDATION_INTERVAL_IF_TIMED
    worthwhile = max(1.0, paid * total_steps / WORTHWHILE)
    return max(1, total_steps // int(min(VALIDATIONS_PER_RUN, worthwhile)))
