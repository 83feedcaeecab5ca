"""Start training from the weights of an earlier run or of a saved model folder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from loomlab.errors import InputError

WEIGHTS = "model.safetensors"
MENTIONED = 4  # keys that a refusal names


def load_initial_weights(model: nn.Module, source: Path) -> None:
    """Load the weights of RUN_DIR/model, or of a folder in Transformers layout.

    Raises:
        InputError: no weights there, or weights of another model (the differing keys are named).
    """
    candidates = [source / "model" / WEIGHTS, source / WEIGHTS, source]
    path = next((p for p in candidates if p.is_file()), None)
    if path is None:
        raise InputError(
            f"init={source}: no {WEIGHTS} there; give a finished run folder or a model folder"
        )
    found = _read(path, source)
    complaints = _misfits(model, found)
    if complaints:
        named = ", ".join(complaints[:MENTIONED])
        raise InputError(f"init={source}: these weights do not fit this model: {named}")
    model.load_state_dict(found, strict=False)


def _read(path: Path, source: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(
            f"init={source}: {path.name} is no safetensors file; give a finished run folder or a "
            "model folder"
        ) from error


def _misfits(model: nn.Module, found: dict[str, Tensor]) -> list[str]:
    """What keeps weights from being those of a model, key by key."""
    own = model.state_dict()
    wrong = sorted(k for k in own.keys() & found.keys() if own[k].shape != found[k].shape)
    missing = sorted(own.keys() - found.keys() - _tied(model).keys())
    surplus = sorted(found.keys() - own.keys())
    untied = sorted(k for k in _tied(model).keys() & found.keys() if not _shared(model, found, k))
    return [
        *(f"{k} has another shape" for k in wrong),
        *(f"{k} is missing" for k in missing),
        *(f"{k} is not in this model" for k in surplus),
        *(f"{k} has values of its own, but is tied in this model" for k in untied),
    ]


def _shared(model: nn.Module, found: dict[str, Tensor], key: str) -> bool:
    """Whether a tied key and the one it is tied to hold the same values in a file."""
    other = found.get(_tied(model)[key])
    return other is None or torch.equal(found[key], other)


def _tied(model: nn.Module) -> dict[str, str]:
    """Names a saved file leaves out, each with the name that holds the same weights."""
    return dict(getattr(model, "all_tied_weights_keys", {}) or {})
