"""A saved model loads through the Auto classes in a Python that has imported loomlab."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.patience import PATIENCE
from transformers import AutoConfig
from transformers.models.auto import configuration_auto

from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.registration import register, register_when_needed, stand_in

ROPE = {"_target_": "loomlab.position.rope.RoPE"}
SCRIPT = """
import sys
import loomlab
heavy = [name for name in ("torch", "transformers") if name in sys.modules]
from transformers import AutoModelForCausalLM
ours = [name for name in sys.modules if name.startswith("loomlab.model")]
model = AutoModelForCausalLM.from_pretrained({folder!r})
total = float(model.get_input_embeddings().weight.sum())
print(heavy, ours, type(model).__module__, type(model).__name__, total)
"""


@pytest.mark.slow
def test_a_plain_python_loads_what_is_saved(tmp_path: Path):
    torch.manual_seed(0)
    saved: Any = GPTConfig(layers=1, width=16, heads=2, position=ROPE).build("causal_lm")
    saved.save_pretrained(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(folder=str(tmp_path))],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *said, total = done.stdout.split()
    assert " ".join(said) == "[] [] loomlab.model.gpt GPTForCausalLM"
    expected = saved.get_input_embeddings().weight.sum().item()
    assert float(total) == pytest.approx(expected, abs=1e-4)


def test_what_is_imported_already_is_told_at_once(monkeypatch: pytest.MonkeyPatch):
    waiting = list(sys.meta_path)
    monkeypatch.setattr(configuration_auto.CONFIG_MAPPING, "_extra_content", {})
    register_when_needed()
    assert sys.meta_path == waiting
    config = AutoConfig.for_model("loom_gpt", layers=3)
    assert isinstance(config, GPTConfig)
    assert config.layers == 3
    assert isinstance(AutoConfig.for_model("loom_bert"), BERTConfig)


def test_a_config_that_is_there_itself_is_left_alone():
    before = configuration_auto.CONFIG_MAPPING["loom_gpt"]
    register(configuration_auto)
    assert configuration_auto.CONFIG_MAPPING["loom_gpt"] is before


def test_a_stand_in_reads_as_the_config_it_stands_for():
    kind: Any = stand_in("loom_gpt", "loomlab.model.gpt", "GPTConfig")
    read = kind.from_dict({"model_type": "loom_gpt", "layers": 2, "width": 64})
    assert isinstance(read, GPTConfig)
    assert (read.layers, read.width) == (2, 64)
