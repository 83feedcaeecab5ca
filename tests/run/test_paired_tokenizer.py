"""Weights are refused with another tokenizer than theirs, whatever its size."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tests.conftest import DATA
from transformers import GPT2Config, GPT2LMHeadModel

from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.paired_tokenizer import require_paired, tokenizer_of, weights_of
from loomlab.tokenizer.base import SPECIAL, wrap
from loomlab.tokenizer.byte_bpe import ByteBPE
from loomlab.tokenizer.hf import Pretrained

TEXT = (DATA / "alice.txt").read_text().split("\n\n")
SIZE = 300


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and a tokenizer with fewer roles than those of this package, as on the hub."""
    folder = tmp_path_factory.mktemp("checkpoint")
    sizes = {"n_layer": 1, "n_embd": 16, "n_head": 2, "vocab_size": SIZE, "n_positions": 32}
    GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(folder)
    wrap(ByteBPE(SIZE).train(TEXT).backend_tokenizer, eos_token=SPECIAL[0]).save_pretrained(folder)
    return folder


def test_the_very_tokenizer_fits_with_further_roles(checkpoint: Path):
    for more in ({}, {"mask_token": SPECIAL[2]}, {"mask_token": "<new>"}):
        require_paired("model.name", str(checkpoint), Pretrained(str(checkpoint), **more).train())
    with pytest.raises(InputError, match=r"model\.name=.* with another tokenizer \(300 tokens"):
        require_paired("model.name", str(checkpoint), ByteBPE(SIZE).train(TEXT[:9]))


def test_weights_without_a_tokenizer_are_taken_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING, "loomlab")
    require_paired("init", str(tmp_path), ByteBPE(SIZE).train(TEXT))
    assert f"init={tmp_path}: no tokenizer lies beside these weights" in caplog.text


def test_weights_of_the_hub_have_their_tokenizer_there(caplog: pytest.LogCaptureFixture):
    assert tokenizer_of("someone/some-model") == "someone/some-model"
    caplog.set_level(logging.WARNING, "loomlab")
    require_paired("model.name", "someone/some-model", ByteBPE(SIZE).train(TEXT))  # out of reach
    assert "model.name=someone/some-model: no tokenizer lies beside" in caplog.text


def test_which_weights_a_run_starts_from():
    def of(init: str | None, name: str | None, tokenizer: str | None) -> tuple[str, str] | None:
        config = {"init": init, "model": {"name": name}, "tokenizer": {"name": tokenizer}}
        return weights_of(OmegaConf.create(config), "name")

    assert of(None, None, None) is None
    assert of(None, "a", "b") == ("model.name", "a")
    assert of(None, "a", "a") is None
    assert of("run", "a", "a") == ("init", "run")
    assert weights_of(OmegaConf.create({"init": None, "model": {}}), None) is None


def test_a_checkpoint_is_trained_with_its_tokenizer(
    checkpoint: Path, tiny: Callable[..., list[str]], refused: Callable[..., str],
    ended: Callable[..., tuple[int, str]], tmp_path: Path,
):  # fmt: skip
    """Where none is named as well; a larger one is refused for what it is, not for its size."""
    model = ["model=hf", f"model.name={checkpoint}"]
    given = [o for o in tiny(*model, "budget.steps=1") if not o.startswith("tokenizer=")]
    code, said = ended("train", *given)
    assert code == 0, said
    run = RunFolder(tmp_path / "run")
    assert run.config().tokenizer.name == str(checkpoint)
    assert run.config().choice.tokenizer == "hf"
    assert f"tokenizer.name='{checkpoint}'" in run.overrides()
    other = ["tokenizer=byte_bpe", f"corpus.path={DATA / 'moby_dick.txt'}"]
    said = refused(*other, "tokenizer.vocab_size=400", model=model)
    assert f"model.name={checkpoint}: these weights were trained with another" in said
    assert "(300 tokens, this run has 400)" in said
    assert "leave tokenizer out" in said
