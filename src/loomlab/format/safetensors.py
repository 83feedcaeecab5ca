"""Transformers layout: config.json and model.safetensors, for `from_pretrained`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig

from loomlab.errors import InputError
from loomlab.format.base import Format, Inputs, Runner
from loomlab.format.standard_layout import standard_layout, why_not_standard
from loomlab.model.foreign_unit import save_own_unit
from loomlab.model.reshaped import MARKER

log = logging.getLogger("loomlab")


class Safetensors(Format):
    """A folder that plain Transformers loads, without loomlab, in a class that computes the same.

    A model that no class of Transformers computes keeps its own, which is said: that loads once
    `loomlab` is imported.
    """

    tolerance = 1e-4
    file = "model.safetensors"

    def write(self, model: nn.Module, example: Inputs, folder: Path) -> None:
        """Save the model, as a class of Transformers if one fits."""
        if getattr(model.config, MARKER, None):
            raise InputError(
                "format=safetensors: compression has put layers into this model that plain "
                "Transformers cannot build; use format=onnx, or load the run's own model folder"
            )
        saved: Any = standard_layout(model)
        if saved is None and type(model).__module__.startswith("loomlab."):
            log.warning(
                "format=safetensors: no class of Transformers computes this model (%s): the "
                "export loads where loomlab is installed, after `import loomlab`",
                why_not_standard(model),
            )
        save_own_unit(saved or model, folder)

    def read(self, folder: Path, names: tuple[str, ...]) -> Runner:
        """The model through the class that its config names."""
        named = json.loads((folder / "config.json").read_text())["architectures"][0]
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        kind = getattr(transformers, named, None) or _own_class(config, named)
        model = kind.from_pretrained(
            folder, dtype="float32", local_files_only=True, trust_remote_code=False
        ).eval()

        @torch.no_grad()
        def run(inputs: Inputs) -> torch.Tensor:
            logits: torch.Tensor = model(**inputs).logits
            return logits

        return run


def _own_class(config: Any, name: str) -> Any:
    """The class of that name beside the config's, which registered itself."""
    return getattr(__import__(type(config).__module__, fromlist=[name]), name)
