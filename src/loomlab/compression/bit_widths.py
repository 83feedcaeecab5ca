"""Bits of single layers, by patterns of their names."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from loomlab.errors import InputError

WIDTHS = (2, 3, 4, 8)


def bits_by_name(
    layers: Mapping[str, Any], bits: int, bits_of: Mapping[str, int], option: str
) -> dict[str, int]:
    """Bits of each layer: those of the last pattern that fits its name, else `bits`.

    A pattern is a name, the end of one (after a dot), or a glob for either, as in `targets`.

    Raises:
        InputError: a pattern that fits none of the layers, or bits that cannot be saved.
    """
    key, found = f"compression.{option}.bits_of", dict.fromkeys(layers, bits)
    for pattern, width in bits_of.items():
        fits = [n for n in layers if fnmatchcase(n, pattern) or fnmatchcase(n, f"*.{pattern}")]
        if not fits:
            ends = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
            raise InputError(
                f"{key}: '{pattern}' is the name of no layer that is quantized; these are {ends}"
            )
        if width not in WIDTHS:
            allowed = ", ".join(map(str, WIDTHS))
            raise InputError(f"{key}: {width} bits for '{pattern}'; give one of {allowed}")
        found |= dict.fromkeys(fits, width)
    return found
