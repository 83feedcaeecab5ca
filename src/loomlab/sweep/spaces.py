"""Search spaces written in YAML next to the group they vary: conf/AXIS/search/OPTION.yaml."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from loomlab.catalog.axes import AXES, SELECTORS
from loomlab.catalog.choices import chosen
from loomlab.catalog.options import Catalog
from loomlab.compose.composer import compose_job
from loomlab.compose.diagnosis import COMPOSE_ERRORS
from loomlab.errors import InputError, did_you_mean, first_line
from loomlab.sweep.dimension import Between, Dimension, dimension, keys_of

PROBED = 64  # combinations of options that are all checked; of more, each option at least once


class Spaces:
    """The spaces of whatever options a job has on the axes that `sweep.search` names."""

    def __init__(self, axes: Sequence[str], loader: ConfigLoader, catalog: Catalog) -> None:
        known = [a.name for a in AXES if a.name not in SELECTORS]
        for axis in axes:
            if axis not in known:
                raise InputError(
                    f"sweep.search: there is no axis '{axis}'; {did_you_mean(axis, known)}"
                )
        self.axes = tuple(axes)
        self.catalog = catalog
        self.parser = OverridesParser.create(config_loader=loader)
        self._found: dict[tuple[str, ...], list[Dimension]] = {}

    def chooses(self, key: str) -> bool:
        """Whether a key chooses options, and so what else there is to vary."""
        return key.lstrip("+") in self.catalog.options

    def of(self, job: Sequence[str]) -> list[Dimension]:
        """What is to be varied in a job beside what its own overrides set.

        Raises:
            InputError: an option has no search space, or one that cannot be read.
        """
        if not self.axes:
            return []
        picks = tuple(o for o in job if self.chooses(o.partition("=")[0]))
        if picks not in self._found:
            self._found[picks] = self._read(picks)
        return [d for d in self._found[picks] if not keys_of([d.key]) & keys_of(job)]

    def _read(self, picks: tuple[str, ...]) -> list[Dimension]:
        try:
            options = chosen(compose_job(list(picks)))
        except COMPOSE_ERRORS:
            return []  # such a job is refused with the reason
        found = []
        for axis in self.axes:
            names = options.get(axis)
            for option in names if isinstance(names, list) else [names]:
                found += self._space(axis, str(option))
        return found

    def _space(self, axis: str, option: str) -> list[Dimension]:
        place = f"conf/{axis}/search/{option}.yaml"
        text = self.catalog.space(axis, option)
        if text is None:
            raise InputError(
                f"sweep.search=[{axis}]: {axis}={option} has no search space; write {place} (with "
                f"nothing in it if nothing is to be varied) or leave {axis} out"
            )
        try:
            content = yaml.safe_load(text) or {}
            swept = [(k, self._parsed(f"{k}={_written(v)}")) for k, v in content.items()]
        except (yaml.YAMLError, HydraException, AttributeError) as error:
            raise InputError(f"{place} cannot be read: {first_line(error)}") from None
        for key, override in swept:
            if not override.is_sweep_override():
                raise InputError(
                    f"{place}: {key} has one value, not a space; write choice(...), range(...) or "
                    "interval(...)"
                )
        return [dimension(override, option) for _, override in swept]

    def _parsed(self, text: str) -> Override:
        return self.parser.parse_overrides([text])[0]


def _written(value: object) -> str:
    return f"choice({','.join(map(str, value))})" if isinstance(value, list) else str(value)


class Space:
    """All that a sweep draws its jobs from."""

    def __init__(self, overrides: Sequence[Override], spaces: Spaces) -> None:
        """Raises InputError where there is nothing to draw from, or a range cannot be."""
        last = {o.get_key_element(): o for o in overrides}.values()
        self.fixed = [
            f"{o.get_key_element()}={o.get_value_element_as_str()}"
            for o in last
            if not o.is_sweep_override()
        ]
        varied = [dimension(o) for o in last if o.is_sweep_override()]
        self.options = [d for d in varied if spaces.chooses(d.key)]
        self.numbers = [d for d in varied if not spaces.chooses(d.key)]
        self.spaces = spaces
        if not varied and not spaces.axes:
            raise InputError(
                "there is nothing to draw from: give a key several values or an interval, or name "
                "groups with sweep.search=[...]"
            )

    def job(self, draw: Callable[[Dimension], str]) -> list[str]:
        """One job; options first, as they decide what else there is to draw."""
        job = [*self.fixed, *(draw(d) for d in self.options), *(draw(d) for d in self.numbers)]
        return [*job, *(draw(d) for d in self.spaces.of(job))]

    def combinations(self) -> list[dict[str, str]]:
        """Combinations of options, by key: all, or each option at least once if they are many."""
        sides = [d.listed() for d in self.options]
        count = 1
        for side in sides:
            count *= len(side)
        rows = (
            list(product(*sides)) if count <= PROBED
            else [tuple(s[i % len(s)] for s in sides) for i in range(max(map(len, sides)))]
        )  # fmt: skip
        return [dict(zip((d.key for d in self.options), row, strict=True)) for row in rows]

    def probes(self) -> list[list[str]]:
        """Jobs that have every choice of options with the ends of all ranges."""
        jobs: dict[tuple[str, ...], None] = {}
        for options in self.combinations():
            dimensions = self._with(options)
            for i in range(max((len(d.ends()) for d in dimensions), default=1)):

                def end(d: Dimension, i: int = i, options: dict[str, str] = options) -> str:
                    return options.get(d.key) or d.ends()[i % len(d.ends())]

                jobs[tuple(self.job(end))] = None
        return [list(job) for job in jobs]

    def shared_numbers(self) -> set[str]:
        """Names of the numbers that are drawn for every job, whatever options it has."""
        each = [{d.name for d in self._with(options) if isinstance(d, Between)}
                for options in self.combinations()]  # fmt: skip
        return set.intersection(*each)

    def _with(self, options: dict[str, str]) -> list[Dimension]:
        """All that is drawn for a job with these options, beside them."""
        return [*self.numbers, *self.spaces.of([*self.fixed, *options.values()])]

    def described(self) -> list[tuple[str, str]]:
        """(name, values) of every dimension, those of conditional ones with their option."""
        found = {d.name: str(d) for d in self.options}
        for options in self.combinations():
            found |= {d.name: str(d) for d in self._with(options)}
        return list(found.items())
