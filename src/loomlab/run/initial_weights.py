"""Start training from the weights of an earlier run or of a saved model folder."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from loomlab.errors import InputError

WEIGHTS = "model.safetensors"


def load_initial_weights(model: nn.Module, source: Path) -> None:
    """Load the weights of RUN_DIR/model, or of a folder in Transformers layout.

    Raises:
        InputError: no weights there, or weights of another shape (the differing keys are named).
    """
    candidates = [source / "model" / WEIGHTS, source / WEIGHTS, source]
    path = next((p for p in candidates if p.is_file()), None)
    if path is None:
        raise InputError(
            f"init={source}: no {WEIGHTS} there; give a finished run folder or a model folder"
        )
    found = load_file(path)
    own = model.state_dict()
    shared = own.keys() & found.keys()
    wrong = sorted(k for k in shared if own[k].shape != found[k].shape)
    missing = sorted(own.keys() - found.keys() - _tied(model))
    if wrong or missing:
        named = ", ".join(
            [*(f"{k} has another shape" for k in wrong), *(f"{k} is missing" for k in missing)][:4]
        )
        raise InputError(f"init={source}: these weights do not fit this model: {named}")
    model.load_state_dict(found, strict=False)


def _tied(model: nn.Module) -> set[str]:
    """Names a saved file leaves out since another name holds the same weights."""
    return set(getattr(model, "all_tied_weights_keys", {}) or {})
