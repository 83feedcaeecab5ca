"""Every combination."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from loomlab.sweep.base import Sweep
from loomlab.sweep.dimension import dimension
from loomlab.sweep.spaces import Spaces


class Grid(Sweep):
    """Every combination of the values given, the last key fastest, as in Hydra."""

    def expand(self, overrides: Sequence[Override], spaces: Spaces) -> list[list[str]]:
        """The product of all values, and of those in the search spaces of a job's options."""
        for override in overrides:
            if override.is_interval_sweep():
                dimension(override).listed()  # refuses
        jobs: list[list[str]] = BasicSweeper.split_arguments(list(overrides), None)[0]
        return [whole for job in jobs for whole in with_spaces(job, spaces)]


def with_spaces(job: list[str], spaces: Spaces) -> list[list[str]]:
    """A job in every combination of the values that the spaces of its options list."""
    return [[*job, *values] for values in product(*(d.listed() for d in spaces.of(job)))]
