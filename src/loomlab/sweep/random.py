"""Draws at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Any

from hydra.core.override_parser.types import Override

from loomlab.sweep.base import Sweep
from loomlab.sweep.dimension import Dimension
from loomlab.sweep.spaces import Space, Spaces


class RandomDraws(Sweep):
    """Jobs drawn from choices, ranges, intervals and search spaces, all independently."""

    def __init__(
        self, n_jobs: Annotated[int, "[1, inf)"] = 20, seed: int = 1, **settings: Any
    ) -> None:
        """`seed` decides the draws; more jobs of the same seed begin with the same ones."""
        super().__init__(**settings)
        self.n_jobs = n_jobs
        self.seed = seed

    def expand(self, overrides: Sequence[Override], spaces: Spaces) -> list[list[str]]:
        """The draws, each from generators of its own number and key."""
        space = Space(overrides, spaces)

        def job(number: int) -> list[str]:
            def draw(one: Dimension) -> str:
                return one.draw(random.Random(f"{self.seed} {number} {one.name}"))

            return space.job(draw)

        return [job(number) for number in range(self.n_jobs)]
