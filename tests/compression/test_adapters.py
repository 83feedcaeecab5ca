"""Adapters: narrow layers behind the branches of a frozen model, saved with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from loomlab.compression.adapters import Adapters
from loomlab.compression.quantize_int8 import QuantizeInt8
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.model.saved import load_pretrained
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
OWN = {"layers": 1, "width": 16, "heads": 2, "initializer_range": 0.2, **SIZES}
LABELS = {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}
BERT = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16,
        "intermediate_size": 32}  # fmt: skip
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))


def hf(kind: str, head: str, config: dict[str, Any]) -> Any:
    return HFModel(architecture_type=kind, config=config, **SIZES).build(head)


MODELS: dict[str, tuple[str, Callable[[], Any], set[str]]] = {
    "gpt": (
        "causal_lm", lambda: GPTConfig(**OWN).build("causal_lm"), {"attention.out", "mlp.out"},
    ),
    "bert": (
        "masked_lm", lambda: BERTConfig(**OWN).build("masked_lm"), {"attention.out", "mlp.out"},
    ),
    "hf gpt2": (
        "causal_lm", lambda: hf("gpt2", "causal_lm", {"n_layer": 1, "n_head": 2, "n_embd": 16}),
        {"attn.c_proj", "mlp.c_proj"},
    ),
    "hf bert": (
        "masked_lm", lambda: hf("bert", "masked_lm", BERT),
        {"attention.output.dense", "output.dense"},
    ),
    "hf llama": (
        "causal_lm", lambda: hf("llama", "causal_lm", BERT),
        {"self_attn.o_proj", "mlp.down_proj"},
    ),
}  # fmt: skip


def places(model: nn.Module) -> set[str]:
    """Layers with an adapter, by their names within a block."""
    return {n.split(".down.")[0].split("0.", 1)[1] for n, _ in model.named_parameters()
            if ".down." in n}  # fmt: skip


def trained(model: nn.Module, labels: torch.Tensor) -> torch.Tensor:
    """The logits after a few steps of what is not frozen."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(4):
        model(input_ids=IDS, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return logits(model)


@torch.no_grad()
def logits(model: nn.Module) -> torch.Tensor:
    answer: torch.Tensor = model.eval()(input_ids=IDS).logits
    return answer


@pytest.mark.parametrize("name", MODELS)
def test_they_train_alone_and_are_saved_as_layers(name: str, tmp_path: Path):
    head, build, expected = MODELS[name]
    torch.manual_seed(0)
    model, technique = build(), Adapters(bottleneck=4)
    before, start = {k: v.clone() for k, v in model.state_dict().items()}, logits(model)
    changed = technique.transform(model)
    assert places(changed) == expected
    assert torch.equal(logits(changed), start), "they start as nothing"
    free = {n: p for n, p in changed.named_parameters() if p.requires_grad}
    assert all(".down." in n or ".up." in n for n in free)
    assert sum(p.numel() for p in free.values()) == 2 * (16 * 4 + 4 + 4 * 16 + 16)
    assert technique.report()["trainable_parameters"] == sum(p.numel() for p in free.values())
    after = trained(changed, IDS)
    assert (after - start).abs().max() > 1e-4
    finished = technique.finalize(changed)
    assert all(p.requires_grad for p in finished.parameters())
    state = dict(finished.state_dict())
    for place in expected:
        state = {k.replace(f"{place}.layer.", f"{place}."): v for k, v in state.items()}
    assert all(torch.equal(state[k], v) for k, v in before.items())
    finished.save_pretrained(tmp_path)
    again = load_pretrained(tmp_path, head)
    torch.testing.assert_close(logits(again), after, atol=1e-6, rtol=0)


def test_pfeiffer_puts_one_per_block():
    for name, left in {"gpt": "mlp.out", "hf bert": "output.dense"}.items():
        model = Adapters(placement="pfeiffer").transform(MODELS[name][1]())
        assert places(model) == {left}


def test_targets_choose_the_layers():
    model = Adapters(targets=["qkv"]).transform(MODELS["gpt"][1]())
    assert places(model) == {"attention.qkv"}
    with pytest.raises(InputError, match=r"compression\.adapters\.targets: 'quary'"):
        Adapters(targets=["quary"]).transform(MODELS["gpt"][1]())


def test_a_model_whose_layers_are_not_known_is_refused():
    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.embedding = nn.Linear(4, 4), nn.Embedding(3, 4)

    with pytest.raises(InputError, match=r"compression\.adapters\.targets: it has mix"):
        Adapters().transform(Unknown())


def test_the_new_head_of_a_classifier_is_trained():
    model = GPTConfig(**OWN, **LABELS).build("sequence_classification")
    changed = Adapters(bottleneck=4).transform(model)
    free = {n for n, p in changed.named_parameters() if p.requires_grad}
    assert {n for n in free if ".down." not in n and ".up." not in n} == {"score.weight"}


def test_all_of_it_can_be_quantized(tmp_path: Path):
    model, technique, after = MODELS["gpt"][1](), Adapters(bottleneck=4), QuantizeInt8()
    for step in (technique, after):
        model = step.transform(model)
    trained(model, IDS)
    for step in (technique, after):
        model = step.finalize(model)
    assert after.report()["layers"] == 4 + 2 * 2
    model.save_pretrained(tmp_path)
    again = load_pretrained(tmp_path, "causal_lm")
    assert torch.equal(logits(again), logits(model))


def test_a_run_with_them_is_loaded_as_any_other(train: Callable[..., RunFolder]):
    from loomlab.run.finished_run import FinishedRun

    given = ["model.layers=1", "model.width=16", "model.heads=2", "callbacks=[checkpoint]"]
    folder = train(*given, "compression=[adapters]", "compression.adapters.bottleneck=3")
    summary = folder.summary()
    model = FinishedRun(folder.path).model
    assert sum(p.numel() for p in model.parameters()) == summary["parameters"]
    assert summary["compression"]["Adapters"]["parameters"] == summary["parameters"]
    assert any(p.any() for n, p in model.named_parameters() if ".up." in n), "they are trained"
