"""Values in pairs."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from loomlab.errors import InputError
from loomlab.sweep.base import Sweep
from loomlab.sweep.dimension import dimension
from loomlab.sweep.grid import with_spaces
from loomlab.sweep.spaces import Spaces


class Paired(Sweep):
    """The first value of every key in one job, the second of every key in the next, and so on."""

    def expand(self, overrides: Sequence[Override], spaces: Spaces) -> list[list[str]]:
        """As many jobs as each key has values, times the values listed in search spaces."""
        columns = {o.get_key_element(): _column(o) for o in overrides}
        counts = {key: len(column) for key, column in columns.items() if len(column) != 1}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{key} has {count}" for key, count in counts.items())
            raise InputError(
                f"sweep=list takes the values of all keys side by side, but {told}: give as many "
                "of each, or take sweep=grid for all combinations"
            )
        jobs = [
            [column[i if len(column) > 1 else 0] for column in columns.values()]
            for i in range(max(counts.values(), default=1))
        ]
        return [whole for job in jobs for whole in with_spaces(job, spaces)]


def _column(override: Override) -> list[str]:
    """The values of a key in their order; one for a key that is not varied."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if override.is_interval_sweep():
        return dimension(override).listed()  # refuses
    return [f"{key}={value}" for value in override.sweep_string_iterator()]
