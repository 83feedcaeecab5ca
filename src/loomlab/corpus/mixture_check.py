"""What is wrong with the settings of a mixture, before anything is built."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

EMPTY = "parts: is empty: give corpora, as in corpus.parts=[gutenberg,python_stdlib]"
SHARED = {"workers": 0, "document_mask": False}  # of the whole, with what a part has by itself


def mixture_problems(settings: dict[str, Any]) -> Iterator[str]:
    """Parts that are not told apart, weights that are none, and settings that nothing reads."""
    parts, weights = settings["parts"], settings["weights"]
    if not parts:
        yield EMPTY
    for name in sorted({name for name in parts if parts.count(name) > 1}):
        yield (
            f"parts: {name} is there twice: for another text of that kind give it a name, as in "
            f"corpus.parts=[{name},more] +corpus@corpus.of.more={name}"
        )
    if weights is not None:
        yield from _weights(parts, weights, settings)
    elif settings["mixing"] != "temperature" and settings["temperature"] != 2.0:
        yield f"temperature: mixing={settings['mixing']} has none: set corpus.mixing=temperature"
    for name, node in (settings["of"] or {}).items():
        if name not in parts:
            yield f"of.{name}: is no part of this mixture: add it to corpus.parts, or leave it out"
        for key, unset in SHARED.items():
            if isinstance(node, dict) and node.get(key, unset) != unset:
                yield f"of.{name}.{key}: is one for the whole mixture: set corpus.{key}"


def _weights(parts: list[str], weights: list[float], settings: dict[str, Any]) -> Iterator[str]:
    if len(weights) != len(parts):
        yield f"weights: {len(weights)} for {len(parts)} parts: give one for each, in their order"
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        yield "weights: each must be above 0: leave a part with none out of corpus.parts"
    if settings["mixing"] != "proportional":
        yield f"mixing: {settings['mixing']} and weights are two ways to say it: leave one out"
