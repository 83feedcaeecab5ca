"""What a learning-rate schedule knows of the run: how many steps, how many tokens in each."""

from __future__ import annotations

# Before a timed run has measured anything, the warm-up must start small: assume a long run.
_UNMEASURED_STEPS = 10_000


class ScheduleContext:
    """Length of a run in optimizer steps, fixed or estimated from a wall-clock budget.

    Build it with `fixed` or `timed`. Attributes: `tokens_per_step` (tokens of one global batch),
    `steps` (total or the current estimate), `seconds` (the wall-clock budget, None if fixed).

    Not a dataclass: as a keyword of hydra's `instantiate` that would arrive as a config, a copy
    that never hears of `step_done`.
    """

    def __init__(self, tokens_per_step: int, steps: int, seconds: float | None = None) -> None:
        self.tokens_per_step = tokens_per_step
        self.steps = steps
        self.seconds = seconds
        self._mark: tuple[int, float] | None = None  # the first report of this process

    @classmethod
    def fixed(cls, total_steps: int, tokens_per_step: int) -> ScheduleContext:
        """A run of exactly `total_steps` optimizer steps."""
        return cls(tokens_per_step, total_steps)

    @classmethod
    def timed(cls, seconds: float, tokens_per_step: int) -> ScheduleContext:
        """A run that ends after `seconds`; report each step with `step_done`."""
        return cls(tokens_per_step, _UNMEASURED_STEPS, seconds)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run (an estimate if the budget is a time)."""
        return self.steps

    def step_done(self, step: int, elapsed_seconds: float) -> None:
        """Renew the estimate of a timed run; does nothing for a fixed one.

        The first report can only assume that all steps took as long: step * seconds / elapsed.
        Later ones leave out what came before the first, for that includes warming up
        (allocation, compilation) and would make the run look far shorter than it is.

        Args:
            step: optimizer steps finished, counted from 1.
            elapsed_seconds: of the budget, used up so far.
        """
        if self.seconds is None:
            return
        if self._mark is None:
            self._mark = (step, elapsed_seconds)
        first_step, first_seconds = self._mark
        if step > first_step and elapsed_seconds > first_seconds:
            rate = (step - first_step) / (elapsed_seconds - first_seconds)
            estimate = step + (self.seconds - elapsed_seconds) * rate
        elif elapsed_seconds > 0:
            estimate = step * self.seconds / elapsed_seconds
        else:
            return
        self.steps = max(step + 1, round(estimate))
