"""Magnitude pruning: exact, and kept whatever the optimizer does."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file

from loomlab.compression.prune_magnitude import PruneMagnitude
from loomlab.compression.targets import linear_layers
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
GIVEN = [
    *("model.layers=1", "model.width=16", "model.heads=2", "compression=[prune_magnitude]"),
    *("callbacks=[checkpoint]", "scheduler=constant", "optimizer.lr=0.02"),
]


def gpt(**settings):
    torch.manual_seed(0)
    return GPTConfig(layers=2, width=16, heads=2, **SIZES, **settings).build("causal_lm")


def linear_weights(folder: RunFolder) -> list[torch.Tensor]:
    weights = load_file(folder.model / "model.safetensors")
    return [w for n, w in weights.items() if w.ndim == 2 and n.startswith("transformer.layers")]


def test_the_smallest_of_all_layers_go():
    model, dense = gpt(), gpt()
    PruneMagnitude(sparsity=0.6).transform(model)
    before = {n: p for n, p in dense.named_parameters() if p.ndim == 2 and "layers" in n}
    after = {n: p for n, p in model.named_parameters() if n in before}
    every = torch.cat([p.detach().abs().flatten() for p in before.values()])
    limit = every.sort().values[round(0.6 * len(every))]
    assert before
    for name, weight in before.items():
        assert torch.equal(after[name], weight * (weight.abs() >= limit))
    assert torch.equal(model.lm_head.weight, dense.lm_head.weight)


def test_by_layer_and_by_pattern():
    for settings in ({"scope": "layer"}, {"pattern": "2:4"}):
        model = gpt()
        technique = PruneMagnitude(**settings)
        technique.transform(model)
        for layer in linear_layers(model, [], "prune_magnitude").values():
            assert (layer.weight == 0).float().mean() == 0.5
        technique.finalize(model)
        assert technique.report()["sparsity"] == 0.5


@pytest.mark.parametrize("targets", [["lm_head"], ["transformer.lyers.*"]])
def test_a_target_that_cannot_be_is_refused(targets: list[str]):
    with pytest.raises(InputError, match=targets[0].rpartition(".")[2].replace("*", r"\*")):
        PruneMagnitude(targets=targets).transform(gpt(tied=True))


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "schedule_free"])
def test_training_keeps_what_was_pruned_at_zero(
    train_once: Callable[..., RunFolder], optimizer: str
):
    folder = train_once(*GIVEN, f"optimizer={optimizer}", "budget.steps=4")
    weights = linear_weights(folder)
    zeros, total = sum(int((w == 0).sum()) for w in weights), sum(w.numel() for w in weights)
    assert zeros == total / 2
    summary = folder.summary()
    assert summary["compression"]["PruneMagnitude"]["sparsity"] == 0.5
    state = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)
    saved = state["state_dict"]
    kept = next(v["masks"] for k, v in state["callbacks"].items() if k.startswith("KeepMasks"))
    assert all((saved[f"model.{n}.weight"][~m] == 0).all() for n, m in kept.items())
    assert summary["compressed"]["after"]["bytes_on_disk"] > 0


def test_a_resumed_run_equals_the_unbroken_one(
    train: Callable[..., RunFolder], train_once: Callable[..., RunFolder]
):
    given = [*GIVEN, "optimizer=adamw"]
    whole = train_once(*given, "budget.steps=4")
    part = train(*given, "budget.steps=2")
    again = train(*given, "budget.steps=4", f"resume={part.path}")
    for one, other in zip(linear_weights(whole), linear_weights(again), strict=True):
        assert torch.equal(one, other)
