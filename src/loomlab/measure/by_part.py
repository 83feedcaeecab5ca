"""Held-out numbers of a text and of the parts it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loomlab.measure.scores import Scores


class ScoresByPart:
    """Scores of the parts of a text, and of all of it, which are their sums.

    new: makes empty scores. bytes_per_token: UTF-8 bytes per token of each part, in the same order
    on all processes; without parts there is only the whole, under the name "".
    """

    def __init__(self, new: Callable[[], Scores], bytes_per_token: Mapping[str, float]) -> None:
        self.new, self.parts = new, dict(bytes_per_token)
        self.scores = {name: new() for name in self.parts or [""]}

    def of(self, part: str) -> Scores:
        """The scores to which a batch of this part is added."""
        return self.scores[part]

    def reduce(self) -> None:
        """Sum over all processes, in place; once, at the end."""
        for scores in self.scores.values():
            scores.reduce()

    def result(self, bytes_per_token: float) -> dict[str, float]:
        """The numbers of the whole by their names, and of each part that was read as PART/NAME.

        bytes_per_token: of the whole.

        Raises:
            InputError: nothing was scored.
        """
        whole = self.new()
        for scores in self.scores.values():
            whole.sums = whole.sums.to(scores.sums.device) + scores.sums
        numbers = whole.result(bytes_per_token)
        for part, size in self.parts.items():
            if self.scores[part].sums.any():
                own = self.scores[part].result(size)
                numbers |= {f"{part}/{name}": value for name, value in own.items()}
        return numbers
