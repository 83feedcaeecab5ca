"""Which options fit together, from what their classes declare; nothing is built.

A class may declare, as plain literals:
  requires = {"axis.attribute": (allowed values)}   what the option on another axis must be
  owns = ("axis", ...)                              axes it brings itself: any choice but the
                                                    default would be ignored, so it is refused
  refuses = {"axis.setting": (values)}              settings of other axes it cannot honour
  conflicts = ("option", ...)                       options of its own axis
  because = {"axis" or "axis.attribute": "reason"}  why, for the message
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loomlab.compose.problem import Problem
from loomlab.compose.source import ClassSource


@dataclass(frozen=True)
class Pick:
    """An option chosen on an axis, with what its class declares."""

    axis: str
    option: str
    source: ClassSource

    def declares(self, name: str, default: Any) -> Any:
        """A declared attribute."""
        return self.source.attributes.get(name, default)

    def __str__(self) -> str:
        return f"{self.axis}={self.option}"


def pair_refusal(one: Pick, other: Pick, default_of: dict[str, str]) -> str:
    """Why two options do not go together; empty when they do."""
    return _one_way(one, other, default_of) or _one_way(other, one, default_of)


def _one_way(one: Pick, other: Pick, default_of: dict[str, str]) -> str:
    reasons = one.declares("because", {})
    for key, allowed in one.declares("requires", {}).items():
        axis, _, attribute = key.partition(".")
        value = other.source.attributes.get(attribute)
        if axis != other.axis or value is None:
            continue
        offered = set(value) if isinstance(value, tuple | list | set) else {value}
        if not offered & {*allowed, "any"} and "any" not in offered:
            return _because(f"{one} needs {key} to be {_either(allowed)}", reasons.get(key))
    if other.axis in one.declares("owns", ()) and _differs(other, default_of):
        reason = reasons.get(other.axis, f"{one} brings its own {other.axis}")
        return f"{reason}, so {other} would change nothing"
    if one.axis == other.axis and other.option in one.declares("conflicts", ()):
        return _because(f"{one} cannot be combined with {other}", reasons.get(other.option))
    return ""


def _differs(pick: Pick, default_of: dict[str, str]) -> bool:
    return pick.option != default_of.get(pick.axis, pick.option)


def _either(values: Any) -> str:
    return " or ".join(str(v) for v in values if v != "any")


def _because(what: str, reason: str | None) -> str:
    return f"{what}: {reason}" if reason else what


def all_refusals(
    picks: list[Pick], default_of: dict[str, str], fitting: dict[str, list[Pick]]
) -> Iterator[Problem]:
    """Every refused pair among the chosen options, with the options that would fit."""
    for position, one in enumerate(picks):
        for other in picks[position + 1 :]:
            why = pair_refusal(one, other, default_of)
            if why:
                fix = _what_fits(one, other, default_of, fitting)
                yield Problem(f"{one} {other}", why, fix)


def _what_fits(
    one: Pick, other: Pick, default_of: dict[str, str], fitting: dict[str, list[Pick]]
) -> str:
    """Options of either axis that go with what is chosen on the other."""
    hints = []
    for kept, axis in ((one, other.axis), (other, one.axis)):
        names = [p.option for p in fitting.get(axis, []) if not pair_refusal(kept, p, default_of)]
        if names:
            hints.append(f"with {kept} use {axis}={'|'.join(names)}")
    return ", or ".join(hints)
