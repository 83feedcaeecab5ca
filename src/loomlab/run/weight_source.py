"""Where weights to start from can lie: a run folder, a model folder, a file, a checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from loomlab.callbacks.store import read_state
from loomlab.errors import InputError
from loomlab.model.reshaped import MARKER
from loomlab.text.beside import CHECKPOINT

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
MODEL = "model."  # what names of an objective's weights begin with in a checkpoint


@dataclass(frozen=True)
class WeightSource:
    """Weights by name, and the layers that compression put in place of others."""

    weights: dict[str, Tensor]
    reshaped: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_source(source: Path) -> WeightSource:
    """Read RUN_DIR/model, a folder in Transformers layout, a safetensors file or a checkpoint.

    A checkpoint is loaded as tensors and plain values only, so that it cannot run code.

    Raises:
        InputError: no weights are there, or they cannot be read.
    """
    candidates = [
        folder / name for folder in (source / "model", source) for name in (WEIGHTS, INDEX)
    ]
    path = next((p for p in [*candidates, source] if p.is_file()), None)
    if path is None:
        raise InputError(
            f"init={source}: no {WEIGHTS} there; give a finished run folder, a model folder or a "
            "checkpoint (RUN_DIR/checkpoints/best.ckpt)"
        )
    if path.suffix == CHECKPOINT:
        return WeightSource(_checkpoint(path))
    return WeightSource(_safetensors(path, source), _reshaped(path.parent / "config.json"))


def _reshaped(config: Path) -> dict[str, dict[str, Any]]:
    if not config.is_file():
        return {}
    return json.loads(config.read_text(encoding="utf-8")).get(MARKER) or {}


def _safetensors(path: Path, source: Path) -> dict[str, Tensor]:
    """One file, or all that an index names."""
    try:
        if path.name != INDEX:
            return load_file(path)
        files = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
        shards = [load_file(path.parent / name) for name in sorted(files)]
        return {key: tensor for shard in shards for key, tensor in shard.items()}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"init={source}: {path.name} is no safetensors file; give a finished run folder or a "
            "model folder"
        ) from error


def _checkpoint(path: Path) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = read_state(path)["state_dict"]
    except InputError as error:
        raise InputError(
            f"init={path}: is no checkpoint of a run, or a damaged one; give "
            "RUN_DIR/checkpoints/best.ckpt or a finished run folder"
        ) from error
    if any(".base_layer." in key for key in state):
        raise InputError(
            f"init={path}: this checkpoint holds adapters beside the weights; give the finished "
            "run folder, where they are merged"
        )
    return {key.removeprefix(MODEL): tensor for key, tensor in state.items()}
