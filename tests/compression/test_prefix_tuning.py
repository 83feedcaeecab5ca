"""Prefix tuning: only keys and values before the text are trained, and saved with the model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from loomlab.compose.gate import check
from loomlab.compression.prefix_tuning import PrefixTuning
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.model.saved import load_pretrained
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24}
OWN = {"layers": 2, "width": 16, "heads": 2, "initializer_range": 0.2, **SIZES}
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))
WINDOW = {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 8}
ALIBI = {"_target_": "loomlab.position.alibi.ALiBi"}
MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "gpt": ("causal_lm", lambda: GPTConfig(**OWN).build("causal_lm")),
    "gpt, window": ("causal_lm", lambda: GPTConfig(attention=WINDOW, **OWN).build("causal_lm")),
    "gpt, alibi": ("causal_lm", lambda: GPTConfig(position=ALIBI, **OWN).build("causal_lm")),
    "bert": ("masked_lm", lambda: BERTConfig(**OWN).build("masked_lm")),
}


@torch.no_grad()
def logits(model: nn.Module, ids: torch.Tensor = IDS) -> torch.Tensor:
    answer: torch.Tensor = model.eval()(input_ids=ids).logits
    return answer


def trained(model: nn.Module) -> nn.Module:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(4):
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_it_trains_alone_and_is_saved(name: str, tmp_path: Path):
    head, build = MODELS[name]
    torch.manual_seed(0)
    model, technique = build(), PrefixTuning(length=5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    start = logits(technique.transform(model))
    free = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert technique.report()["trainable_parameters"] == 2 * 2 * 5 * 16
    assert sum(p.numel() for p in free.values()) == 2 * 2 * 5 * 16
    finished = technique.finalize(trained(model))
    after = logits(finished)
    assert (after - start).abs().max() > 1e-3
    assert all(p.any() for p in free.values()), "every prefix gets a gradient"
    state = finished.state_dict()
    assert all(torch.equal(state[k], v) for k, v in before.items())
    finished.save_pretrained(tmp_path)
    assert torch.equal(logits(load_pretrained(tmp_path, head)), after)


def test_a_decoder_sees_nothing_of_later_tokens_and_goes_on_from_a_cache():
    torch.manual_seed(0)
    model = MODELS["gpt"][1]()
    PrefixTuning(length=5).transform(model)
    trained(model)
    changed = IDS.clone()
    changed[:, 12:] = 3
    torch.testing.assert_close(logits(model)[:, :12], logits(model, changed)[:, :12])
    with torch.no_grad():
        first = model(input_ids=IDS[:, :12], use_cache=True)
        rest = model(input_ids=IDS[:, 12:], past_key_values=first.past_key_values)
    torch.testing.assert_close(rest.logits, logits(model)[:, 12:], atol=1e-5, rtol=0)


def test_models_of_transformers_are_refused():
    said = check(["model=hf", "model.architecture_type=gpt2", "compression=[prefix_tuning]"])
    assert "no place for a prefix" in said.message()
    config = {"n_layer": 1, "n_head": 2, "n_embd": 16}
    model = HFModel(architecture_type="gpt2", config=config, **SIZES).build("causal_lm")
    with pytest.raises(InputError, match="model=gpt or model=bert"):
        PrefixTuning().transform(model)


def test_a_run_with_it_is_loaded_as_any_other(train: Callable[..., RunFolder]):
    from loomlab.run.finished_run import FinishedRun

    given = ["model.layers=1", "model.width=16", "model.heads=2", "optimizer.lr=0.1"]
    folder = train(*given, "compression=[prefix_tuning]")
    model = FinishedRun(folder.path).model
    assert sum(p.numel() for p in model.parameters()) == folder.summary()["parameters"]
    assert all(p.any() for n, p in model.named_parameters() if n.endswith("values_HPK"))
