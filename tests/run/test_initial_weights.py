"""`init=`: training starts from given weights, or says by name what does not fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

STILL = ["optimizer=sgd", "optimizer.lr=0", "scheduler=constant", "budget.steps=1"]
Finish = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def source(finish: Finish) -> RunFolder:
    return finish("optimizer.lr=0.01", "budget.steps=6", "scheduler=constant")


@pytest.mark.parametrize("where", [".", "model", "model/model.safetensors"])
def test_first_validation_is_that_of_the_source(finish: Finish, source: RunFolder, where: str):
    folder = finish(*STILL, f"init={source.path / where}", "seed=9")
    first = next(r for r in read_metrics(folder.metrics) if "val/loss" in r)
    assert first["val/loss"] == pytest.approx(source.summary()["final"]["val/loss"], abs=1e-6)
    weights = [load_file(f.model / "model.safetensors") for f in (source, folder)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_another_shape_is_named(finish: Finish, source: RunFolder):
    with pytest.raises(InputError, match=r"init=.*do not fit .*embed\S* has another shape"):
        finish(f"init={source.path}", "model.width=32")


def test_a_missing_layer_is_named(finish: Finish, source: RunFolder):
    with pytest.raises(InputError, match=r"do not fit this model: \S*1\S* is missing"):
        finish(f"init={source.path}", "model.layers=2")


def test_a_layer_too_many_is_named(finish: Finish, source: RunFolder, tmp_path: Path):
    weights = load_file(source.model / "model.safetensors")
    path = tmp_path / "more.safetensors"
    save_file({**weights, "extra.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"extra\.weight is not in this model"):
        finish(f"init={path}")


def test_an_untied_head_does_not_fit_a_tied_model(finish: Finish):
    """Else the head would overwrite the embedding, or the embedding the head, without a word."""
    untied = finish("model.tied=false", "optimizer.lr=0.01")
    with pytest.raises(InputError, match=r"has values of its own, but is tied in this model"):
        finish(f"init={untied.path}", "model.tied=true")


def test_no_weights_there(finish: Finish, tmp_path: Path):
    with pytest.raises(InputError, match=r"no model\.safetensors there; give a finished run"):
        finish(f"init={tmp_path}")


def test_a_file_of_another_kind(finish: Finish, tmp_path: Path):
    (tmp_path / "weights.pt").write_bytes(b"no tensors at all")
    with pytest.raises(InputError, match=r"init=.*weights\.pt.* is no safetensors file"):
        finish(f"init={tmp_path / 'weights.pt'}")
