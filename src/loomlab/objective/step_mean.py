"""The loss of an optimizer step as the mean over all that its micro-batches score."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn


class StepMean:
    """Makes a mean of means the mean over everything, where micro-batches score unlike numbers.

    Lightning and the processes average the losses of the micro-batches, and what the later ones
    of a step score is not known when the first is differentiated. So each is weighed by what it
    scores, relative to what it would if all scored alike, and the gradients of the step are
    divided by the mean of these weights once they are whole.
    """

    def __init__(self) -> None:
        self.weights: list[float] = []  # of the micro-batches of the step so far

    def add(self, weight: float | None) -> None:
        """Note the weight of a micro-batch; None where all score alike."""
        if weight is not None:
            self.weights.append(weight)

    def correct(
        self, parameters: Iterable[nn.Parameter], over_processes: Callable[[float], float]
    ) -> None:
        """Divide the gradients of a step that is complete, and begin the next one.

        `over_processes` gives the mean of a number over the processes that step together.
        """
        if not self.weights:
            return
        mean = over_processes(sum(self.weights) / len(self.weights))
        self.weights = []
        if mean in (0.0, 1.0):  # nothing was scored, or by all alike
            return
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(mean)
