"""What one key of a sweep may be: one of some values, or a number between two ends."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from loomlab.errors import InputError

DIGITS = 6  # of a drawn number: enough to tell draws apart, short enough to be read


@dataclass(frozen=True)
class Values:
    """One of several values, each as it is written in an override."""

    key: str  # with the + of an added key
    values: tuple[str, ...]
    option: str = ""  # the option whose search space it is from

    @property
    def name(self) -> str:
        """What tells it from other dimensions: a key may have another space in each option."""
        return _name(self.key, self.option)

    def listed(self) -> list[str]:
        """Every override there is."""
        return [f"{self.key}={value}" for value in self.values]

    def ends(self) -> list[str]:
        """Overrides that are to be sound before anything is started."""
        return self.listed()

    def draw(self, generator: random.Random) -> str:
        """One override at random."""
        return generator.choice(self.listed())

    def __str__(self) -> str:
        return ", ".join(self.values)


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included; `step` apart if it has one."""

    key: str
    low: float
    high: float
    whole: bool = False
    log: bool = False
    step: float | None = None
    option: str = ""

    @property
    def name(self) -> str:
        """What tells it from other dimensions."""
        return _name(self.key, self.option)

    def written(self, number: float) -> str:
        """The override for a number, rounded to be read, inside the ends."""
        number = min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)
        return f"{self.key}={round(number) if self.whole else repr(number)}"

    def listed(self) -> list[str]:
        """Every override there is.

        Raises:
            InputError: there are too many, as it has no step.
        """
        if self.step is None:
            raise InputError(
                f"{self.key}: an interval has no end of values, and this sweep runs all there "
                "are: give choice(...) or range(...), or take sweep=random or sweep=optuna"
            )
        count = round((self.high - self.low) / self.step) + 1
        return [self.written(self.low + i * self.step) for i in range(count)]

    def ends(self) -> list[str]:
        """Overrides that are to be sound before anything is started."""
        return [self.written(self.low), self.written(self.high)]

    def draw(self, generator: random.Random) -> str:
        """One override at random."""
        if self.step is not None:
            return generator.choice(self.listed())
        if self.whole and not self.log:
            return self.written(generator.randint(round(self.low), round(self.high)))
        if self.log:
            return self.written(
                math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
            )
        return self.written(generator.uniform(self.low, self.high))

    def __str__(self) -> str:
        how = [f"in steps of {self.step:g}" if self.step else "", "log" if self.log else ""]
        kind = ", ".join(filter(None, ["whole" if self.whole else "", *how]))
        return f"{self.low:g} to {self.high:g}" + (f" ({kind})" if kind else "")


Dimension = Values | Between


def dimension(override: Override, option: str = "") -> Dimension:
    """The dimension that a swept override spans.

    Raises:
        InputError: a tag is not known, or a range has no place on a logarithmic scale.
    """
    key = override.get_key_element()
    value = override.value()
    tags = set(getattr(value, "tags", ()))
    log = "log" in tags
    if tags - {"log"}:
        raise InputError(f"{key}: the tag {min(tags - {'log'})} means nothing here; there is log")
    if isinstance(value, IntervalSweep):
        return _interval(key, value, log, option)
    if log:
        raise InputError(f"{key}: log goes with an interval: tag(log, interval(1e-4, 1e-2))")
    if isinstance(value, RangeSweep):
        numbers = sorted(float(n) for n in override.sweep_iterator())  # type: ignore[arg-type]
        whole = all(isinstance(n, int) for n in (value.start, value.stop, value.step))
        if len(numbers) > 1:
            return Between(
                key, numbers[0], numbers[-1], whole, step=abs(value.step), option=option
            )
    return Values(key, tuple(override.sweep_string_iterator()), option)


def _interval(key: str, value: IntervalSweep, log: bool, option: str) -> Between:
    assert value.start is not None
    assert value.end is not None
    low, high = float(value.start), float(value.end)
    if not low < high:
        raise InputError(f"{key}: interval({low:g}, {high:g}) is empty: give the lower end first")
    if log and low <= 0:
        raise InputError(f"{key}: a logarithmic interval begins above 0, not at {low:g}")
    return Between(key, low, high, isinstance(value.start, int), log, option=option)


def _name(key: str, option: str) -> str:
    return f"{key} ({option})" if option else key


def keys_of(overrides: Iterable[str]) -> set[str]:
    """The keys that overrides set."""
    return {o.lstrip("+~").partition("=")[0] for o in overrides}
