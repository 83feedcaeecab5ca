"""Whether a checkpoint of Transformers is a model of given settings, and what to type if not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from loomlab.model.standard_settings import Checkpoint, Config
from loomlab.quoting import to_type


def given_settings(
    model: Config, attention: Config | None, position: Config | None, architecture: str
) -> dict[str, Any]:
    """Settings of ours by the keys of overrides, from the options that a run has composed."""
    return {
        "model": {"decoder": "gpt", "encoder": "bert"}.get(architecture),
        **{f"model.{name}": value for name, value in model.items()},
        **_option("attention", attention or {"_target_": "loomlab.attention.full.Full"}),
        **_option("position", position or {"_target_": "loomlab.position.learned.Learned"}),
    }


def _option(axis: str, node: Config) -> dict[str, Any]:
    settings = dict(node)
    name = str(settings.pop("_target_")).removeprefix(f"loomlab.{axis}.").partition(".")[0]
    return {axis: name, **{f"{axis}.{key}": value for key, value in settings.items()}}


def misfit(
    source: object, checkpoint: Checkpoint, given: Config, length: int, gives_tokens: bool
) -> tuple[str, str] | None:
    """Why a checkpoint is none of a model with `given` settings, and what to type; None: it is.

    length: of the sequences; gives_tokens: the head may share its matrix with the embedding.
    """
    kind = f"{source} is a {checkpoint.name}"
    if checkpoint.foreign:
        return (
            f"{kind} with {', '.join(checkpoint.foreign)}, which our models do not compute",
            f"train it as it is, by model=hf {to_type('model.name', source)}",
        )
    unlike = dict(_unlike(checkpoint, given, gives_tokens))
    if checkpoint.positions and length > checkpoint.positions:
        unlike["sequence_length"] = checkpoint.positions
    if not unlike:
        return None
    layers, width, heads = (
        checkpoint.settings[f"model.{name}"] for name in ("layers", "width", "heads")
    )
    return (
        f"{kind} of {layers} layer{'s' * (layers > 1)}, {width} wide, "
        f"{heads} head{'s' * (heads > 1)}, and the model of this run is another",
        f"type {' '.join(f'{key}={_typed(value)}' for key, value in unlike.items())}",
    )


def _unlike(
    checkpoint: Checkpoint, given: Config, gives_tokens: bool
) -> Iterator[tuple[str, Any]]:
    """Settings to type, those that say what a model is first."""
    wanted = checkpoint.settings
    for key in sorted(wanted, key=lambda key: ("." in key, not key.startswith("model"))):
        value = wanted[key]
        if not _same(given.get(key), value) and (gives_tokens or key != "model.tied"):
            yield key, value
    width, gated = wanted["model.width"], 2 / 3 if wanted["model.activation"] == "swiglu" else 1
    ratio = given.get("model.mlp_ratio")
    if ratio is None or round(ratio * width * gated) != checkpoint.hidden:
        yield "model.mlp_ratio", _shortest(checkpoint.hidden / width / gated, width * gated)


def _same(one: Any, other: Any) -> bool:
    if isinstance(other, bool) or not (
        isinstance(one, int | float) and isinstance(other, int | float)
    ):
        return bool(one == other)
    return math.isclose(one, other, rel_tol=1e-6)  # a float32 rounds 1e-5 so far


def _shortest(ratio: float, times: float) -> float:
    """The ratio with no more digits than it takes to come out right."""
    tries = (float(f"{ratio:.{digits}g}") for digits in range(1, 17))
    return next((r for r in tries if round(r * times) == round(ratio * times)), ratio)


def _typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"
