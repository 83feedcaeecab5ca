"""Runs that start from a checkpoint of Transformers: out of a folder, out of the hub's cache."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

import loomlab
from loomlab.errors import InputError
from loomlab.run.folder import RunFolder


@pytest.fixture(scope="module")
def saved(local_copies: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 with its tokenizer, as save_pretrained leaves them."""
    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = AutoTokenizer.from_pretrained(local_copies / "tokenizer")
    config = GPT2Config(n_layer=2, n_embd=16, n_head=4, vocab_size=len(tokenizer),
                        initializer_range=0.3, bos_token_id=0, eos_token_id=0)  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


FITTING = ["model.layers=2", "model.width=16", "model.heads=4"]
STILL = ["optimizer=sgd", "optimizer.lr=1e-30", "scheduler=constant", "sequence_length=12"]


@pytest.fixture
def run(tiny: Callable[..., list[str]]) -> Callable[..., loomlab.Run]:
    """Train from Python, through all gates, with the tokenizer of the weights."""

    def trained(*overrides: str, folder: str = "run") -> loomlab.Run:
        usual = [o for o in tiny(*STILL, folder=folder) if o != "tokenizer=byte"]
        return loomlab.train(*usual, *overrides)

    return trained


def test_a_run_begins_from_the_hub_and_goes_on_without_it(
    run: Callable[..., loomlab.Run],
    saved: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    model, commit = tmp_path / "hub" / "models--some--body", "c" * 40
    shutil.copytree(saved, model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    begun = run(*FITTING, "init=some/body", "budget.steps=1", "callbacks=[checkpoint]")
    given = load_file(saved / "model.safetensors")["transformer.wte.weight"]
    kept = load_file(RunFolder(begun.path).model / "model.safetensors")
    assert torch.equal(kept["transformer.embedding.weight"], given)
    shutil.rmtree(tmp_path / "hub")
    longer = loomlab.train(f"resume={begun.path}", "budget.steps=2")
    assert longer.summary["status"] == "finished"
    assert longer.summary["steps"] == 2


def test_another_tokenizer_is_refused(run: Callable[..., loomlab.Run], saved: Path):
    with pytest.raises(InputError, match=r"init=.* were trained with another tokenizer"):
        run(*FITTING, f"init={saved}", "tokenizer=byte")


def test_classes_adapters_rates_by_layer_and_layers_at_rest(
    run: Callable[..., loomlab.Run], saved: Path, tmp_path: Path
):
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n" + "a fine film,1\na bad one,0\n" * 8)
    made = run(
        *FITTING, f"init={saved}", "objective=classification", "corpus=labelled",
"compression=[lora]", "freeze=[embeddings]",
        "layer_decay=0.9", "budget.steps=1",
        f"corpus.path={rows}",
    )  # fmt: skip
    assert made.summary["status"] == "finished"
