"""What one stage of a pipeline does in a step, without the others: for `loom plan`."""

# Shapes: B rows, T positions, D width.

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from loomlab.objective.base import Batch, Objective
from loomlab.parallelism.stages import Stage, cut, trunk_of


def staged_part(
    objective: Objective, stages: int, rank: int, parts: int, in_flight: int
) -> Callable[[Batch], Tensor]:
    """Leave the stage of that rank in the model; what it does with a batch cut into `parts`.

    Of `in_flight` micro-batches it keeps the activations until the first of them goes back. What
    it is sent has a place for each of them from the beginning, as in torch's PipelineStage.
    """
    stage, end = rank % stages, stages - 1
    cut(objective.model, stages, stage)
    module = Stage(objective, stage == 0, stage == end, contextlib.nullcontext)
    width = trunk_of(objective.model).config.width

    def run(batch: Batch) -> Tensor:
        module.parts = objective.parts(batch, parts)
        rows, length = module.parts[0]["input_ids"].shape
        places_BTD = [torch.empty(rows, length, width) for _ in range(2 * parts)]
        received = [] if module.first else places_BTD[:parts]
        gradients = [] if module.last else places_BTD[parts:]
        del places_BTD
        under_way: list[tuple[int, Tensor]] = []

        def back() -> None:
            number, made = under_way.pop(0)
            made.backward(gradients[number] if gradients else None)
            if received:
                sent = received[number].grad
                assert sent is not None
                dist.send(sent, rank - 1)
                received[number].grad = None

        for number in range(parts):
            if len(under_way) == in_flight:
                back()
            inputs = [received[number].requires_grad_()] if received else []
            made = module(*inputs, part=number)
            if not module.last:
                dist.send(made.detach(), rank + 1)
            under_way.append((number, made))
            del made
        while len(under_way) > 1:
            back()
        number, made = under_way.pop()
        return (made * gradients[number]).sum() if gradients else made.sum()

    return run
