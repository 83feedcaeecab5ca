"""LoRA: only adapters train, and what is saved is a plain model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.compression.lora import LoRA
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.model.saved import HEADS
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
OWN = {"layers": 2, "width": 16, "heads": 2, "initializer_range": 0.2, **SIZES}
TINY = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "intermediate_size": 32,
}


def hf(model_type: str, head: str, config: dict[str, Any]) -> Any:
    return HFModel(architecture_type=model_type, config=config, **SIZES).build(head)


MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "gpt": ("causal_lm", lambda: GPTConfig(**OWN).build("causal_lm")),
    "gpt swiglu": (
        "causal_lm",
        lambda: GPTConfig(activation="swiglu", tied=False, **OWN).build("causal_lm"),
    ),
    "bert": ("masked_lm", lambda: BERTConfig(**OWN).build("masked_lm")),
    "hf gpt2": (
        "causal_lm",
        lambda: hf("gpt2", "causal_lm", {"n_layer": 1, "n_head": 2, "n_embd": 16}),
    ),
    "hf llama": ("causal_lm", lambda: hf("llama", "causal_lm", TINY)),
    "hf bert": ("masked_lm", lambda: hf("bert", "masked_lm", TINY)),
}
# The same as options of `loom train`.
OVERRIDES = {
    "gpt": ["model.layers=1", "model.width=16", "model.heads=2"],
    "bert": ["model=bert", "objective=mlm", "model.layers=1", "model.width=16", "model.heads=2"],
    "hf gpt2": [
        "model=hf", "model.architecture_type=gpt2",
        "++model.config={n_layer:1,n_embd:16,n_head:2}",
    ],
}  # fmt: skip
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))


def adapted(name: str, technique: LoRA) -> tuple[Any, Any, dict[str, torch.Tensor]]:
    """A model, the same with adapters that were trained a little, and its weights before."""
    torch.manual_seed(0)
    model = MODELS[name][1]()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    wrapped = technique.transform(model)
    trainable = [p for p in wrapped.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=0.02)
    for _ in range(5):
        wrapped(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, wrapped.eval(), before


@pytest.mark.parametrize("name", MODELS)
def test_adapters_alone_train(name: str):
    technique = LoRA(rank=4)
    model, wrapped, before = adapted(name, technique)
    trainable = {n for n, p in wrapped.named_parameters() if p.requires_grad}
    assert trainable
    assert all(".lora_" in n for n in trainable)
    frozen = {
        n.replace(".base_layer", ""): p
        for n, p in wrapped.state_dict().items()
        if ".lora_" not in n
    }
    assert frozen.keys() == before.keys()
    assert all(torch.equal(frozen[n], before[n]) for n in before)
    moved = [p.abs().max() > 0 for n, p in wrapped.named_parameters() if ".lora_B" in n]
    assert moved
    assert all(moved), "every adapter gets a gradient"
    head = wrapped.get_output_embeddings()
    assert not any(".lora_" in f".{n}" for n, _ in head.named_parameters())
    report = technique.report()
    assert report["trainable_parameters"] == sum(
        p.numel() for p in wrapped.parameters() if p.requires_grad
    )
    assert report["parameters"] == sum(p.numel() for p in wrapped.parameters())
    assert type(wrapped) is type(model), "the model keeps its class"


@pytest.mark.parametrize("name", MODELS)
def test_merged_logits_equal_those_with_adapters(name: str, tmp_path: Path):
    technique = LoRA(rank=4, dropout=0.1)
    _, wrapped, before = adapted(name, technique)
    with torch.no_grad():
        expected = wrapped(input_ids=IDS).logits
        merged = technique.finalize(wrapped).eval()
        torch.testing.assert_close(merged(input_ids=IDS).logits, expected, atol=1e-5, rtol=1e-5)
    assert merged.state_dict().keys() == before.keys()
    assert all(p.requires_grad for p in merged.parameters())
    merged.save_pretrained(tmp_path)
    auto = getattr(transformers, HEADS[MODELS[name][0]])
    again = auto.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=IDS).logits, expected, atol=1e-5, rtol=1e-5)


LABELS = {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}
CLASSIFIERS: dict[str, tuple[set[str], Callable[[], Any]]] = {
    "gpt": ({"score.weight"}, lambda: GPTConfig(**OWN, **LABELS)),
    "bert": (
        {f"classifier.{n}.{k}" for n in ("dense", "out") for k in ("weight", "bias")},
        lambda: BERTConfig(**OWN, **LABELS),
    ),
    "hf llama": (
        {"score.weight"},
        lambda: HFModel(architecture_type="llama", config=TINY, **SIZES, **LABELS),
    ),
    "hf roberta": (
        {f"classifier.{n}.{k}" for n in ("dense", "out_proj") for k in ("weight", "bias")},
        lambda: HFModel(architecture_type="roberta", config=TINY, **SIZES, **LABELS),
    ),
    "hf distilbert": (
        {f"{n}.{k}" for n in ("pre_classifier", "classifier") for k in ("weight", "bias")},
        lambda: HFModel(
            architecture_type="distilbert",
            config={"n_layers": 1, "n_heads": 2, "dim": 16, "hidden_dim": 32},
            **SIZES, **LABELS,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_head_of_a_classifier_is_trained_as_a_whole(name: str, tmp_path: Path):
    head, option = CLASSIFIERS[name]
    torch.manual_seed(0)
    model = option().build("sequence_classification")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    technique = LoRA(rank=2)
    wrapped = technique.transform(model)
    plain = {n for n, p in wrapped.named_parameters() if p.requires_grad and ".lora_" not in n}
    assert plain == head
    assert not any(".lora_" in n for n, _ in wrapped.named_parameters() if n.split(".")[0] in head)
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad], lr=0.02)
    for _ in range(3):
        wrapped(input_ids=IDS, labels=torch.tensor([0, 1, 1])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        expected = wrapped.eval()(input_ids=IDS).logits
    merged = technique.finalize(wrapped).eval()
    assert merged.state_dict().keys() == before.keys()
    merged.save_pretrained(tmp_path)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=IDS).logits, expected, atol=1e-5, rtol=1e-5)
    assert all(not torch.equal(again.state_dict()[n], before[n]) for n in head)


def test_it_starts_as_the_model_it_adapts():
    torch.manual_seed(0)
    model = MODELS["gpt"][1]().eval()
    with torch.no_grad():
        expected = model(input_ids=IDS).logits
        wrapped = LoRA().transform(model).eval()
        assert torch.equal(wrapped(input_ids=IDS).logits, expected)


def test_targets_choose_the_layers():
    model = MODELS["hf bert"][1]()
    wrapped = LoRA(targets=["query", "value"]).transform(model)
    places = {n.split(".lora_")[0].rpartition(".")[2] for n, _ in wrapped.named_parameters()
              if ".lora_" in n}  # fmt: skip
    assert places == {"query", "value"}


def test_targets_that_are_not_there_are_refused_in_words():
    with pytest.raises(InputError, match=r"compression\.lora\.targets.*quary"):
        LoRA(targets=["quary"]).transform(MODELS["hf bert"][1]())


@pytest.mark.parametrize("name", fast_slow_soak(OVERRIDES, fast=["gpt"], slow=["bert", "hf gpt2"]))
def test_a_run_ends_in_a_plain_model(train: Callable[..., RunFolder], name: str):
    given = [*OVERRIDES[name], "callbacks=[checkpoint]", "optimizer.lr=0.01"]
    folder = train(*given, "compression=[lora]", "compression.lora.rank=2")
    plain = train(*OVERRIDES[name], "budget.steps=1", folder="plain")
    weights, usual = (load_file(f.model / "model.safetensors") for f in (folder, plain))
    assert weights.keys() == usual.keys()
    assert not any("lora" in k or "base_layer" in k for k in weights)
    names = [p.name for p in folder.model.iterdir()]
    assert not any("adapter" in n for n in names), names
    written = (folder.model / "config.json").read_text(encoding="utf-8").lower()
    assert "lora" not in written
    assert "peft" not in written
    auto = transformers.AutoModelForMaskedLM if name == "bert" else None
    model = (auto or transformers.AutoModelForCausalLM).from_pretrained(folder.model)
    assert sum(p.numel() for p in model.parameters()) == folder.summary()["parameters"]
    report = folder.summary()["compression"]["LoRA"]
    assert 0 < report["trainable_parameters"] < report["parameters"]


def test_base_weights_come_out_of_init(train: Callable[..., RunFolder]):
    """Fine-tuning a run with adapters: what no adapter touches is what it was."""
    base = train(*OVERRIDES["gpt"], folder="base")
    tuned = train(*OVERRIDES["gpt"], "compression=[lora]", f"init={base.path}", folder="tuned")
    before, after = (load_file(f.model / "model.safetensors") for f in (base, tuned))
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert all(before[k].ndim == 2 for k in changed), "norms and biases stay"
    embeddings = [k for k in before if "embed" in k or k.endswith("wte.weight")]
    assert embeddings
    assert not changed & set(embeddings)


def test_adapters_need_a_gradient():
    from loomlab.compose.gate import check

    checked = check(["model=ngram", "compression=[lora]"])
    assert "adapters are trained by gradient" in checked.message()
