"""What an annotation in source text means: a type for the schema and a bound for the value."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Optional

_PLAIN = {"int": int, "float": float, "bool": bool, "str": str}
_INTERVAL = re.compile(r"^([\[(])\s*([^,\s]+)\s*,\s*([^,\s]+)\s*([\])])$")


@dataclass(frozen=True)
class Meaning:
    """A type OmegaConf accepts, and the choices or the interval that bound the value."""

    type: Any = Any
    choices: tuple[Any, ...] = ()
    interval: str = ""

    def complaint(self, value: Any) -> str:
        """Why a value does not fit; empty when it does. Lists and dicts are judged by members."""
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, Sequence) and not isinstance(value, str):
            return next(filter(None, map(self.complaint, value)), "")
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is not a finite number"
        if value is None or isinstance(value, bool):
            return ""
        if value == "" and self.type == Optional[str]:  # noqa: UP045
            return "is empty; give a value, or leave it out"
        if self.choices and value not in self.choices:
            return f"'{value}' is none of {', '.join(map(str, self.choices))}"
        if self.interval and isinstance(value, int | float) and not _inside(value, self.interval):
            return f"{value} is outside {self.interval}"
        return ""


def _inside(value: float, interval: str) -> bool:
    match = _INTERVAL.match(interval)
    assert match, f"not an interval: {interval}"
    opening, low, high, closing = match.groups()
    above = value >= float(low) if opening == "[" else value > float(low)
    below = value <= float(high) if closing == "]" else value < float(high)
    return above and below


@cache
def read_annotation(node: ast.expr | None) -> Meaning:
    """Translate an annotation; what OmegaConf cannot hold becomes Any."""
    if node is None:
        return Meaning()
    if isinstance(node, ast.Name):
        return Meaning(_PLAIN.get(node.id, dict[str, Any] if node.id == "dict" else Any))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _optional(node)
    if isinstance(node, ast.Subscript):
        return _subscript(node)
    return Meaning()


def _optional(node: ast.BinOp) -> Meaning:
    """`X | None` is an optional X; any other union is left open."""
    sides = [node.left, node.right]
    real = [s for s in sides if not (isinstance(s, ast.Constant) and s.value is None)]
    if len(real) != 1:
        kinds = {read_annotation(s).type for s in real}
        return Meaning(float) if kinds == {int, float} else Meaning()
    inner = read_annotation(real[0])
    outer = Any if inner.type is Any else Optional[inner.type]  # noqa: UP045
    return Meaning(outer, inner.choices, inner.interval)


def _subscript(node: ast.Subscript) -> Meaning:
    name = node.value.id if isinstance(node.value, ast.Name) else ""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        choices = tuple(ast.literal_eval(p) for p in parts)
        kinds = {type(c) for c in choices}
        return Meaning(kinds.pop() if len(kinds) == 1 else Any, choices)
    if name == "Annotated":
        inner = read_annotation(parts[0])
        return Meaning(inner.type, inner.choices, str(ast.literal_eval(parts[1])))
    if name == "list":
        return Meaning(list[read_annotation(parts[0]).type])  # type: ignore[misc]
    if name == "dict":
        inner = read_annotation(parts[1])
        return Meaning(dict[str, inner.type], inner.choices, inner.interval)  # type: ignore
    return Meaning()
