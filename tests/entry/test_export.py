"""`loom export`: a file that computes what the run computes, and is used like the run."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.patience import PATIENCE
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from loomlab.run import exporting
from loomlab.run.exporting import export
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder

Verb = Callable[..., tuple[int, str, str]]
Trained = Callable[[str], Path]


@pytest.mark.slow
@pytest.mark.usefixtures("warm_verification")
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


CLASSES = {
    "default": "GPT2LMHeadModel", "gpt": "GPTNeoXForCausalLM", "bert": "BertForMaskedLM",
    "labels": "GPT2ForSequenceClassification", "numbers": "BertForSequenceClassification",
}  # fmt: skip
TEXT = "Alice was beginning"
WITHOUT_LOOMLAB = """
import json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "loomlab":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import torch, transformers
for folder, auto, text in json.loads(sys.argv[1]):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = getattr(transformers, auto).from_pretrained(folder)
    ids = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        logits = model(ids).logits.tolist()
    found = {"class": type(model).__name__, "ids": ids.tolist(), "logits": logits,
             "text": tokenizer.decode(ids[0])}
    if model.can_generate():
        found["written"] = model.generate(ids, max_new_tokens=4, do_sample=False).tolist()
    print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_python_without_loomlab_loads_what_is_exported(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exporting, "_verified", lambda *_: {"problems": []})
    node = {"_target_": "loomlab.format.safetensors.Safetensors"}
    heads = {"default": "CausalLM", "gpt": "CausalLM", "bert": "MaskedLM",
             "labels": "SequenceClassification",
             "numbers": "SequenceClassification"}  # fmt: skip
    asked = [
        (export(str(trained(kind)), "plain", node, 1)["folder"], f"AutoModelFor{head}", TEXT)
        for kind, head in heads.items()
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LOOMLAB, json.dumps(asked)],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for kind, line in zip(heads, done.stdout.splitlines(), strict=True):
        run, found = FinishedRun(trained(kind)), json.loads(line)
        model, ids = run.model, run.tokenizer(TEXT, return_tensors="pt").input_ids
        assert (found["class"], found["ids"]) == (CLASSES[kind], ids.tolist())
        assert found["text"] == run.tokenizer.decode(ids[0])
        with torch.no_grad():
            wanted = model(ids).logits
        torch.testing.assert_close(torch.tensor(found["logits"]), wanted, atol=1e-5, rtol=1e-5)
        if "written" in found:
            written = model.generate(ids, max_new_tokens=4, do_sample=False)
            assert found["written"] == written.tolist()


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
