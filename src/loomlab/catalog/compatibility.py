"""Which options fit together, from what their classes declare; nothing is built.

A class may declare, as plain literals:
  requires = {"axis.attribute": (allowed values)}   what the option on another axis must be
  owns = ("axis", ...)                              axes it brings itself: any choice but the
                                                    default would be ignored, so it is refused
  refuses = {"axis.setting": (values)}              settings of other axes it cannot honour
  conflicts = ("option", ...)                       options of its own axis
  same = {"axis": "setting"}                        where it has a value for the setting, the
                                                    option on that axis must have the same
  because = {"axis", "axis.attribute" or "option": "reason"}  why, for the message; under
                                                    "conflicts" what holds for all options
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loomlab.catalog.axes import axis
from loomlab.catalog.problem import Problem
from loomlab.catalog.source import ClassSource

# All options per axis: called only for what is refused, as reading them all takes its time.
Fitting = Callable[[], "dict[str, list[Pick]]"]


@dataclass(frozen=True)
class Pick:
    """An option chosen on an axis, with what its class declares and the settings it is given."""

    axis: str
    option: str
    source: ClassSource
    settings: Mapping[str, Any] = field(default_factory=dict)

    def declares(self, name: str, default: Any) -> Any:
        """A declared attribute."""
        return self.source.attributes.get(name, default)

    def provides(self, name: str) -> Any:
        """What it offers others: a setting of that name says more than its class."""
        given = self.settings.get(name) if name in self.source.parameters else None
        return self.declares(name, None) if given is None else given

    @property
    def path(self) -> str:
        """Where its settings are in the config."""
        declared = axis(self.axis)
        several = declared is not None and declared.multiple
        return f"{self.axis}.{self.option}" if several else self.axis

    def __str__(self) -> str:
        return f"{self.axis}={self.option}"


def pair_refusal(one: Pick, other: Pick, default_of: dict[str, str]) -> str:
    """Why two options do not go together; empty when they do."""
    return _one_way(one, other, default_of) or _one_way(other, one, default_of)


def _one_way(one: Pick, other: Pick, default_of: dict[str, str]) -> str:
    reasons = one.declares("because", {})
    for key, allowed in one.declares("requires", {}).items():
        axis, _, attribute = key.partition(".")
        value = other.provides(attribute)
        if axis != other.axis or value is None:
            continue
        offered = set(value) if isinstance(value, tuple | list | set) else {value}
        if not offered & {*allowed, "any"} and "any" not in offered:
            return _because(f"{one} needs {key} to be {_either(allowed)}", reasons.get(key))
    key = one.declares("same", {}).get(other.axis)
    if key and one.settings.get(key) not in (None, other.settings.get(key)):
        return _because(f"{one} needs its own {other.axis}", reasons.get(other.axis))
    if other.axis in one.declares("owns", ()) and _differs(other, default_of):
        reason = reasons.get(other.axis, f"{one} brings its own {other.axis}")
        return f"{reason}, so {other} would change nothing"
    if one.axis == other.axis and other.option in one.declares("conflicts", ()):
        reason = reasons.get(other.option, reasons.get("conflicts"))
        return _because(f"{one} cannot be combined with {other}", reason)
    return ""


def _differs(pick: Pick, default_of: dict[str, str]) -> bool:
    return pick.option != default_of.get(pick.axis, pick.option)


def _either(values: Any) -> str:
    return " or ".join(str(v) for v in values if v != "any")


def _because(what: str, reason: str | None) -> str:
    return f"{what}: {reason}" if reason else what


def all_refusals(
    picks: list[Pick], default_of: dict[str, str], fitting: Fitting
) -> Iterator[Problem]:
    """Every refused pair among the chosen options, with the options that would fit."""
    for position, one in enumerate(picks):
        for other in picks[position + 1 :]:
            why = pair_refusal(one, other, default_of)
            if why:
                fix = _what_fits(one, other, picks, default_of, fitting)
                yield Problem(f"{one} {other}", why, fix)


def _what_fits(
    one: Pick,
    other: Pick,
    picks: list[Pick],
    default_of: dict[str, str],
    fitting: Fitting,
) -> str:
    """Options of either axis that go with all else that is chosen, or at least with the other."""
    hints = []
    for kept, left in ((one, other), (other, one)):
        offered = [
            p for p in fitting().get(left.axis, []) if not pair_refusal(kept, p, default_of)
        ]
        rest = [p for p in picks if p is not left]
        whole = [p for p in offered if not any(pair_refusal(p, q, default_of) for q in rest)]
        names = [p.option for p in whole or offered]
        if names:
            hints.append(f"with {kept} use {left.axis}={'|'.join(names)}")
    return ", or ".join(hints)
