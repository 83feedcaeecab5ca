"""What can be wrong with tensor parallelism, found from settings alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loomlab.measure.split import nearest_multiples

READ_LOGITS = ("label_smoothing", "z_loss", "distill")  # terms of the loss over all logits


def problems(settings: Mapping[str, Any], config: Mapping[str, Any], reads: str) -> Iterator[str]:
    """Heads that cannot be shared out, and switches that need what the objective does not have.

    reads: how the objective reads its corpus.
    """
    yield from uneven_heads("devices", settings["devices"], config)
    of_rows = str(config["objective"].get("_target_")).split(".")[-2:][0]
    of_rows = "" if reads == "windows" else of_rows
    if settings["loss_parallel"]:
        yield from _loss(config, of_rows)
    if settings["sequence_parallel"]:
        yield from _sequence(settings["devices"], config, of_rows)


def uneven_heads(
    name: str, parts: int, config: Mapping[str, Any], world: int = 0
) -> Iterator[str]:
    """That the setting `name` does not divide the heads, and what does, and `world` if given."""
    heads = config["model"].get("heads")
    if isinstance(heads, int) and heads % parts:
        fits = [str(n) for n in range(2, heads + 1) if heads % n == 0 and world % n == 0]
        yield (
            f"{name}: {parts} does not divide model.heads={heads}; give one of "
            f"{', '.join(fits) or 'the divisors of another model.heads'}"
        )


def _loss(config: Mapping[str, Any], of_rows: str) -> Iterator[str]:
    chosen = [*config["regularization"], *config["compression"]]
    for name in chosen:
        if name in READ_LOGITS:
            yield (
                f"loss_parallel: {name} reads the logits of all tokens, and a process has some; "
                f"leave out {name}, or set parallelism.loss_parallel=false"
            )
    if of_rows:
        yield (
            f"loss_parallel: objective={of_rows} has a head of few labels; set "
            "parallelism.loss_parallel=false"
        )


def _sequence(devices: int, config: Mapping[str, Any], of_rows: str) -> Iterator[str]:
    length = config.get("sequence_length")
    if isinstance(length, int) and length % devices:
        yield (
            f"sequence_parallel: sequence_length={length} cannot be shared by {devices} "
            f"processes; nearest that can: {nearest_multiples(length, devices)}"
        )
    for name in ("lora", "pissa"):
        if name in config["compression"]:
            yield (
                f"sequence_parallel: adapters ({name}) read hidden states of all tokens; leave "
                f"out {name}, or set parallelism.sequence_parallel=false"
            )
    if of_rows:
        yield (
            f"sequence_parallel: rows of objective={of_rows} have lengths of their own; set "
            "parallelism.sequence_parallel=false"
        )
