"""What can be wrong with two dimensions of parallelism, found from settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loomlab.parallelism.tp_checks import uneven_heads


def problems(settings: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Processes that make no groups of two or more, and heads that cannot be shared out."""
    world, parts = settings["devices"] * settings["num_nodes"], settings["tensor_parallel"]
    if world % parts:
        near = sorted({max(4, n * parts) for n in (world // parts, world // parts + 1)})
        return [
            f"tensor_parallel: {world} processes are not groups of {parts}; give "
            f"{' or '.join(str(n) for n in near)} processes"
        ]
    if world == parts:
        return [
            f"tensor_parallel: {world} processes are one group, with nothing between groups; use "
            f"parallelism=tp parallelism.devices={world}, or a smaller tensor_parallel"
        ]
    return [*uneven_heads("tensor_parallel", parts, config, world)]
