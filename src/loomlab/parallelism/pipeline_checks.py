"""What can be wrong with a pipeline, found from settings alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loomlab.measure.split import nearest_divisors


def problems(settings: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Processes that make no stages, and stages without blocks or micro-batches."""
    world = settings["devices"] * settings["num_nodes"]
    copies, parts = settings["data_parallel"], settings["micro_batches"]
    if world % copies or world // copies < 2:
        fix = f"devices={max(2, -(-world // copies)) * copies // settings['num_nodes']}"
        return [
            f"data_parallel: {world} processes are not {copies} copies of 2 or more stages; give "
            f"{fix}, or use parallelism=ddp"
        ]
    stages = world // copies
    return [*_blocks(stages, config), *_parts(settings["schedule"], stages, copies, parts, config)]


def _blocks(stages: int, config: Mapping[str, Any]) -> Iterator[str]:
    layers = config["model"].get("layers")
    if isinstance(layers, int) and layers < stages:
        yield (
            f"devices: {stages} stages need as many blocks, and there are model.layers={layers}; "
            f"give model.layers={stages} or fewer devices"
        )


def _parts(
    schedule: str, stages: int, copies: int, parts: int, config: Mapping[str, Any]
) -> Iterator[str]:
    if schedule == "1f1b" and parts < stages:
        yield (
            f"micro_batches: 1f1b needs one for each of {stages} stages, not {parts}; give "
            f"micro_batches={stages} or schedule=gpipe"
        )
    if config.get("micro_batch_size") is not None:
        return  # rows of a part, of which a step has as many as it takes
    steps = config["trainer"].get("accumulate_grad_batches") or 1
    rows, rest = divmod(config["global_batch_size"], copies * steps)
    if rows and not rest and rows % parts:
        yield (
            f"micro_batches: {rows} rows of a step cannot be cut into {parts}; nearest that can: "
            f"{nearest_divisors(rows, parts)}"
        )
