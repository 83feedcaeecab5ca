"""`loom export`: a file that computes what the run computes, and is used like the run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from loomlab.run.folder import RunFolder

Verb = Callable[..., tuple[int, str, str]]
Trained = Callable[[str], Path]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "auto"), [("gpt", AutoModelForCausalLM), ("bert", AutoModelForMaskedLM)]
)
def test_safetensors_load_in_transformers(kind: str, auto: Any, trained: Trained, verb: Verb):
    code, output, _ = verb("export", trained(kind), "format=safetensors", "--json")
    assert code == 0
    found = json.loads(output.splitlines()[-1])
    assert found["max_difference"] < 1e-4
    assert found["problems"] == []
    model = auto.from_pretrained(found["folder"])
    weights = sum(p.numel() for p in model.parameters())
    assert weights >= RunFolder(trained(kind)).summary()["parameters"]
    size = (Path(found["folder"]) / "model.safetensors").stat().st_size
    assert size == found["bytes"]


@pytest.mark.slow
def test_an_onnx_file_is_used_as_a_run(trained: Trained, verb: Verb):
    run = trained("gpt")
    code, output, _ = verb("export", run, "format=onnx")
    assert code == 0
    assert "perplexity" in output
    file = run / "exports" / "onnx" / "model.onnx"
    numbers = [verb("evaluate", path, "--json", "--batches", 2)[1] for path in (run, file)]
    before, after = (json.loads(text.splitlines()[-1]) for text in numbers)
    assert after == pytest.approx(before, rel=1e-4)
    asked = ("--prompt", "Alice", "--greedy", "--max-new-tokens", "8")
    texts = [verb("generate", path, *asked)[1] for path in (run, file)]
    assert texts[0] == texts[1]


def test_an_unknown_format_is_refused(trained: Trained, verb: Verb):
    code, _, errors = verb("export", trained("gpt"), "format=onx")
    assert code == 2
    assert "format=onx" in errors
    assert "onnx" in errors.split("format=onx")[1]


def test_a_model_that_is_no_graph_is_refused(trained: Trained, verb: Verb):
    code, _, errors = verb("export", trained("ngram"), "format=onnx")
    assert code == 2
    assert "no graph that could be exported" in errors
    assert not (trained("ngram") / "exports" / "onnx").exists()
