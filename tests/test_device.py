"""One function says where computation happens, and all of the code that computes asks it."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from loomlab import device
from loomlab.run import evaluation, finished_run, finishing
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder
from loomlab.text import generation

SOURCE = Path(device.__file__).parent
MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]
META = torch.device("meta")
Train = Callable[..., RunFolder]


def test_a_module_goes_there_and_comes_back(monkeypatch: pytest.MonkeyPatch):
    moves: list[str] = []
    module = nn.Linear(2, 2)
    monkeypatch.setattr(module, "to", lambda place: moves.append(torch.device(place).type))
    monkeypatch.setattr(device, "device", lambda: META)
    with device.placed(module) as place:
        assert place == META
        assert device.on(place, {"x": torch.zeros(2)})["x"].device.type == "meta"
    assert moves == ["meta", "cpu"]


def test_what_has_nothing_to_move_or_is_bound_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "device", lambda: META)
    bound = nn.Sequential(nn.Linear(2, 2))
    bound[0].bound = True  # type: ignore[assignment]
    for module in (nn.Module(), bound):
        with device.placed(module) as place:
            assert place.type == "cpu"
        assert all(p.device.type == "cpu" for p in module.parameters())


def test_held_out_text_is_scored_there(train: Train, monkeypatch: pytest.MonkeyPatch):
    objective, corpus = FinishedRun(train(*MODEL).path).with_corpus()
    seen: list[str] = []
    moves: list[str] = []

    def score(batch: dict[str, Tensor], scores: Any) -> None:
        seen.append(batch["input_ids"].device.type)
        scores.add_sums(1.0, 1.0, 1.0, 1.0)

    monkeypatch.setattr(objective, "score", score)
    monkeypatch.setattr(device, "device", lambda: META)
    monkeypatch.setattr(evaluation, "autocast", lambda place, bf16: device.autocast(
        torch.device("cpu"), bf16))  # fmt: skip
    monkeypatch.setattr(objective, "to", lambda place: moves.append(torch.device(place).type))
    evaluation.evaluate(objective, corpus, bf16=False, batches=2)
    assert moves == ["meta", "cpu"]
    assert seen == ["meta"] * 2


def test_text_is_written_and_labelled_there(train: Train, monkeypatch: pytest.MonkeyPatch):
    finished = FinishedRun(train(*MODEL).path)
    monkeypatch.setattr(finished_run, "device", lambda: META)
    model = finished.ready()
    assert {p.device.type for p in model.parameters()} == {"meta"}
    given: list[str] = []

    def generate(ids: Tensor, **_: Any) -> Tensor:
        given.append(ids.device.type)
        raise InterruptedError

    monkeypatch.setattr(model, "generate", generate)
    with pytest.raises(InterruptedError):
        generation.continue_text(model, finished.tokenizer, "Alice")
    assert given == ["meta"]


def test_nobody_else_asks_for_a_gpu():
    """What is measured or recorded of it apart."""
    measured = {
        "device.py", "measure/memory.py", "measure/scores.py", "callbacks/checkpoint.py",
        "callbacks/profile.py", "run/environment.py", "precision/auto.py",
    }  # fmt: skip
    asking = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "cuda"
    }
    assert asking <= measured
    assert finishing.placed is evaluation.placed is device.placed
