"""The table of modules and their shapes, and the end after one step; debug=shapes and limit."""

import logging
from collections.abc import Callable

import pytest

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

MODEL = ["model.layers=2", "model.width=16", "model.heads=2"]
HF = ["model=hf", "model.architecture_type=gpt2", "++model.config={n_layer:1,n_embd:16,n_head:2}"]


def rows(folder: RunFolder) -> dict[str, list[str]]:
    lines = (folder.path / "shapes.txt").read_text().splitlines()
    cells = [[c.strip() for c in line.split("  ") if c.strip()] for line in lines]
    assert cells[0][0] == "module"
    return {row[0]: row[1:] for row in cells[1:]}


def test_debug_shapes(debug: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "loomlab")
    folder = debug("shapes", *MODEL, "budget.steps=5", "objective.head_chunk=32")
    found = rows(folder)
    qkv = found["transformer.layers.1.attention.qkv"]
    assert qkv == ["Linear", "(4, 16, 16)", "(4, 16, 48)", f"{16 * 48 + 48}", "float32", "1"]
    embedding = found["transformer.embedding"]
    assert embedding[:3] == ["Embedding", "(4, 16)", "(4, 16, 16)"]
    head = found["lm_head"]
    assert head[1] == "(32, 16)", "64 rows in two chunks"
    assert head[-1] == "2"
    assert found["(model)"][-3] == f"{folder.summary()['parameters']:,}"
    assert any("transformer.layers.0.mlp.up" in r.getMessage() for r in caplog.records)
    assert folder.summary()["steps"] == 1, "one step, whatever the budget"


def test_other_models(train: Callable[..., RunFolder]):
    bert = rows(train("model=bert", "objective=mlm", *MODEL, "callbacks=[shapes]", folder="bert"))
    assert bert["transformer.layers.0"][2] == "(4, 16, 16)"
    gpt2 = rows(train(*HF, "callbacks=[shapes]", folder="hf"))
    assert gpt2["(model)"][1].startswith("(4, 16)")
    assert gpt2["transformer.h.0.mlp"][1:3] == ["(4, 16, 16)", "(4, 16, 16)"]


def test_debug_limit_goes_the_whole_way(debug: Callable[..., RunFolder]):
    folder = debug("limit", *MODEL)
    assert {p.name for p in folder.checkpoints.iterdir()} >= {"last.ckpt", "best.ckpt"}
    assert (folder.model / "model.safetensors").is_file()
    found = read_metrics(folder.metrics)
    assert [r["step"] for r in found if "val/loss" in r] == [3, 6]
    assert len([r for r in found if "train/loss" in r]) == 6
