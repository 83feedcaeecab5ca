"""torch.compile in place: the same losses and names, few compilations, refused where it cannot be.

Tests that compile are slow: each takes the C++ compiler for many seconds, unless it has cached.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.marks import fast_slow_soak
from torch import nn

from loomlab.compile.default import Default
from loomlab.compose.gate import check
from loomlab.model.gpt import GPTConfig
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
RUN = ["budget.steps=3", "callbacks=[checkpoint]", "trainer.val_every_n_steps=2"]
COMPILED = "compile=default"
KINDS = {
    "gpt": [*SMALL, "callbacks=[checkpoint,samples,activation_norms]",
            "callbacks.samples.length=4"],
    "bert": [*SMALL, "model=bert", "objective=mlm"],
    "hf": [
        "model=hf", "model.architecture_type=gpt2",
        "++model.config={n_layer:1,n_embd:16,n_head:2,resid_pdrop:0,embd_pdrop:0,attn_pdrop:0}",
    ],
    "window": [*SMALL, "attention=sliding_window", "attention.window=4", "position=alibi"],
    "lora": [*SMALL, "compression=[lora]"],
}  # fmt: skip


@pytest.fixture
def compiler() -> Iterator[dict[str, int]]:
    """What the compiler has done since the start of the test."""
    import torch._dynamo

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield torch._dynamo.utils.counters["stats"]
    torch._dynamo.reset()


def losses(folder: RunFolder) -> list[float]:
    rows = read_metrics(folder.metrics)
    return [r[k] for r in rows for k in ("train/loss", "val/loss") if k in r]


def names(folder: RunFolder) -> set[str]:
    return set(load_file(folder.model / "model.safetensors"))


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, slow=["gpt"]))
def test_losses_and_names_are_those_without(
    train: Callable[..., RunFolder], kind: str, compiler: dict[str, int]
):
    off = train(*RUN, *KINDS[kind], folder="off")
    assert not compiler
    on = train(*RUN, *KINDS[kind], COMPILED, folder="on")
    assert compiler["unique_graphs"] >= 1
    assert losses(on) == pytest.approx(losses(off), abs=1e-4)
    assert len(losses(on)) == 5
    assert names(on) == names(off)
    saved = torch.load(on.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    assert not any("_orig_mod" in name for name in {*names(on), *saved})
    assert on.summary()["flops"] == off.summary()["flops"], "priced before it was compiled"


@pytest.mark.soak
def test_resume_and_an_odd_last_batch(train: Callable[..., RunFolder], compiler: dict[str, int]):
    """The last batch of held-out windows is smaller: a second size."""
    given = [*SMALL, *RUN, COMPILED, "scheduler=constant", "trainer.limit_val_batches=null"]
    given.append("global_batch_size=6")
    whole = train(*given, folder="whole")
    once = compiler["unique_graphs"]
    assert once <= 4, "training, held out, and held out of any size"
    part = train(*given, "budget.steps=2", folder="part")
    train(*given, f"resume={part.path}", folder="part")
    assert losses(part)[-2:] == pytest.approx(losses(whole)[-2:], abs=1e-6)
    assert compiler["unique_graphs"] <= 4 * once, "three runs, no more than four times as many"


@pytest.mark.soak
def test_dropout_and_a_longer_run(train: Callable[..., RunFolder], compiler: dict[str, int]):
    folder = train(*SMALL, COMPILED, "model.dropout=0.5", "budget.steps=8", "optimizer.lr=0.01")
    with_dropout = [r["train/loss"] for r in read_metrics(folder.metrics) if "train/loss" in r]
    dry = train(*SMALL, COMPILED, "budget.steps=8", "optimizer.lr=0.01", folder="dry")
    without = [r["train/loss"] for r in read_metrics(dry.metrics) if "train/loss" in r]
    assert with_dropout != without
    assert with_dropout[-1] < with_dropout[0]


def tiny_gpt() -> nn.Module:
    return GPTConfig(layers=1, width=16, heads=2, vocab_size=32, context_length=8).build(
        "causal_lm"
    )


def test_the_trunk_is_compiled_and_no_name_changes():
    model = tiny_gpt()
    before = list(model.state_dict())
    Default().apply(model)
    assert list(model.state_dict()) == before
    assert model.transformer._compiled_call_impl is not None
    assert model._compiled_call_impl is None, "the head is called by itself"
    plain = nn.Linear(2, 2)
    Default().apply(plain)
    assert plain._compiled_call_impl is not None


@pytest.mark.parametrize("missing", ["compiler", "headers"])
def test_what_is_missing_is_named_before_training(
    missing: str,
    tiny: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    if missing == "compiler":
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CXX", raising=False)
    else:
        monkeypatch.setattr(
            "loomlab.compile.checks.sysconfig.get_path", lambda name: str(tmp_path)
        )
    message = check(tiny(COMPILED)).message()
    assert "compile" in message
    assert ("C++ compiler" if missing == "compiler" else "C headers of Python") in message
    assert "compile=off" in message
    assert not check(tiny("compile='off'")).problems


@pytest.mark.parametrize(
    ("setting", "wrong"), [("mode", "fast"), ("dynamic", "often"), ("fullgraph", "3.5")]
)
def test_settings_are_checked(tiny: Callable[..., list[str]], setting: str, wrong: str):
    message = check(tiny(COMPILED, f"compile.{setting}={wrong}")).message()
    assert f"compile.{setting}" in message


@pytest.mark.soak
def test_any_size_from_the_start(train: Callable[..., RunFolder], compiler: dict[str, int]):
    given = [*SMALL, *RUN, "global_batch_size=6", "trainer.limit_val_batches=null"]
    off = train(*given, folder="off")
    on = train(*given, COMPILED, "compile.dynamic=true", "compile.fullgraph=true", folder="on")
    assert losses(on) == pytest.approx(losses(off), abs=1e-4)
    assert compiler["unique_graphs"] == 2, "training and held out"
