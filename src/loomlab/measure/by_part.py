"""Held-out numbers of a text and of the parts it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from loomlab.measure.scores import Scores


class ScoresByPart:
    """Scores of the parts of a text, and of all of it, which are their sums.

    new: makes empty scores, with the bytes that tokens stand for in a part, or with those of the
    whole. bytes_V: such bytes of each part, in the same order on all processes; without parts
    there is only the whole, under the name "".
    """

    def __init__(self, new: Callable[..., Scores], bytes_V: Mapping[str, Tensor]) -> None:
        self.new, self.parts = new, list(bytes_V)
        self.scores = {name: new(table) for name, table in bytes_V.items()} or {"": new()}

    def of(self, part: str) -> Scores:
        """The scores to which a batch of this part is added."""
        return self.scores[part]

    def reduce(self) -> None:
        """Sum over all processes, in place; once, at the end."""
        for scores in self.scores.values():
            scores.reduce()

    def result(self) -> dict[str, float]:
        """The numbers of the whole by their names, and of each part that was read as PART/NAME.

        Raises:
            InputError: nothing was scored.
        """
        whole = self.new()
        for scores in self.scores.values():
            whole.include(scores)
        numbers = whole.result()
        for part in self.parts:
            if self.scores[part].sums.any():
                own = self.scores[part].result()
                numbers |= {f"{part}/{name}": value for name, value in own.items()}
        return numbers
