"""Where weights to start from can lie: a run folder, a model folder, a file, a checkpoint."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from loomlab.callbacks.store import read_state
from loomlab.errors import InputError
from loomlab.model.foreign_unit import unfold_weights
from loomlab.model.reshaped import MARKER
from loomlab.model.standard_settings import config_beside
from loomlab.text.beside import CHECKPOINT
from loomlab.text.hub import fetched, is_hub_name

WEIGHTS = "model.safetensors"
INDEX = ".index.json"
PICKLED = "pytorch_model.bin"  # of earlier years
FILES = tuple(name + end for name in (WEIGHTS, PICKLED) for end in ("", INDEX))
MODEL = "model."  # what names of an objective's weights begin with in a checkpoint


@dataclass(frozen=True)
class WeightSource:
    """Weights by name, and what the config.json beside them says."""

    weights: dict[str, Tensor]
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def reshaped(self) -> dict[str, dict[str, Any]]:
        """The layers that compression put in place of others."""
        return self.config.get(MARKER) or {}


def read_source(source: Path) -> WeightSource:
    """Read RUN_DIR/model, a folder in Transformers layout, a safetensors file or a checkpoint.

    Or what a name on the hub stands for. What is pickled is loaded as tensors and plain values
    only, so that it cannot run code.

    Raises:
        InputError: no weights are there, or they cannot be read.
    """
    place = source
    if not source.exists() and is_hub_name(str(source)):
        place = fetched("init", str(source), FILES)
    candidates = [folder / name for folder in (place / "model", place) for name in FILES]
    path = next((p for p in [*candidates, place] if p.is_file()), None)
    if path is None:
        raise InputError(
            f"init={source}: no {WEIGHTS} there; give a finished run folder, a model folder or a "
            "checkpoint (RUN_DIR/checkpoints/best.ckpt)"
        )
    if path.suffix == CHECKPOINT:
        return WeightSource(_checkpoint(path))
    weights, config = _saved(path, source), config_beside(path)
    unfold_weights(weights, config)
    return WeightSource(weights, config)


def config_of(source: Path) -> dict[str, Any]:
    """What the config.json of a source on this machine says; empty where there is none."""
    return config_beside(source / "model") or config_beside(source)


def _saved(path: Path, source: Path) -> dict[str, Tensor]:
    """One file, or all that an index names."""
    try:
        if not path.name.endswith(INDEX):
            return _file(path)
        files = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
        shards = [_file(path.parent / name) for name in sorted(files)]
        return {key: tensor for shard in shards for key, tensor in shard.items()}
    except pickle.UnpicklingError as error:
        raise InputError(
            f"init={source}: {path.name} is no plain pickle of tensors, and would run code; save "
            f"the model as {WEIGHTS}"
        ) from error
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, EOFError) as error:
        kind = "file of weights" if path.suffix == ".bin" else "safetensors file"
        raise InputError(
            f"init={source}: {path.name} is no {kind}; give a finished run folder or a "
            "model folder"
        ) from error


def _file(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".bin":
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not (isinstance(state, dict) and all(isinstance(v, Tensor) for v in state.values())):
        raise ValueError("other things than tensors by name")
    return state


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
