"""What holds for every method of peft: frozen weights, small parts, exact merging, names."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from loomlab.catalog.compatibility import Pick, pair_refusal
from loomlab.catalog.options import Catalog
from loomlab.catalog.search import package_conf
from loomlab.compression.adapted import Adapted
from loomlab.compression.ia3 import IA3
from loomlab.compression.lora import LoRA
from loomlab.compression.oft import OFT
from loomlab.compression.quantize_int8 import QuantizeInt8
from loomlab.compression.vera import VeRA
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
OWN = {"layers": 2, "width": 16, "heads": 2, "initializer_range": 0.2, **SIZES}
LABELS = {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}
TINY = {"num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))
IDS[:, -1] = 0  # T5 answers at the end of the text
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}


def hf(kind: str, head: str, config: dict[str, Any], **more: Any) -> Any:
    return HFModel(architecture_type=kind, config=config, **SIZES, **more).build(head)


def t5() -> Any:
    model = hf("t5", "sequence_classification", T5, **LABELS)
    model.config.decoder_start_token_id = 1  # comes with a checkpoint
    return model


MODELS: dict[str, Callable[[], Any]] = {
    "gpt": lambda: GPTConfig(**OWN).build("causal_lm"),
    "bert": lambda: BERTConfig(**OWN).build("masked_lm"),
    "hf gpt2": lambda: hf("gpt2", "causal_lm", {"n_layer": 1, "n_head": 2, "n_embd": 16}),
    "hf llama": lambda: hf("llama", "causal_lm", {"num_hidden_layers": 1, **TINY}),
    "hf bert": lambda: hf("bert", "masked_lm", {"num_hidden_layers": 1, **TINY}),
}
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "gpt": lambda: GPTConfig(**OWN, **LABELS).build("sequence_classification"),
    "bert": lambda: BERTConfig(**OWN, **LABELS).build("sequence_classification"),
    "hf bert": lambda: hf(
        "bert", "sequence_classification", {"num_hidden_layers": 1, **TINY}, **LABELS
    ),
    "hf t5": lambda: t5(),
}
METHODS: dict[str, Callable[..., Adapted]] = {
    "dora": lambda **s: LoRA(rank=4, method="dora", **s),
    "pissa": lambda **s: LoRA(rank=4, method="pissa", **s),
    "vera": lambda **s: VeRA(rank=16, **s),
    "ia3": IA3,
    "oft": OFT,
}
PARTS = {"dora": "lora_", "pissa": "lora_", "vera": "vera_", "ia3": "ia3_", "oft": "oft_"}


def trained(model: nn.Module, **labels: torch.Tensor) -> nn.Module:
    """A model after a few steps of what is not frozen."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(4):
        model(input_ids=IDS, **labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@torch.no_grad()
def logits(model: nn.Module) -> torch.Tensor:
    answer: torch.Tensor = model(input_ids=IDS).logits
    return answer


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_small_parts_train_and_merge_exactly(method: str, name: str):
    torch.manual_seed(0)
    model, technique = MODELS[name]().eval(), METHODS[method]()
    keys, start = list(model.state_dict()), logits(model)
    if (method, name) == ("oft", "hf gpt2"):  # whose layers are no nn.Linear
        with pytest.raises(InputError, match="the layers of GPT2LMHeadModel are Conv1D"):
            technique.transform(model)
        return
    wrapped = technique.transform(model)
    torch.testing.assert_close(logits(wrapped.eval()), start, atol=1e-5, rtol=0)
    free = {n for n, p in wrapped.named_parameters() if p.requires_grad}
    assert free
    assert all(PARTS[method] in n for n in free)
    whole = sum(p.numel() for p in wrapped.parameters())
    part = sum(p.numel() for p in wrapped.parameters() if p.requires_grad)
    assert technique.report() == {"trainable_parameters": part, "parameters": whole}
    expected = logits(trained(wrapped, labels=IDS))
    assert (expected - start).abs().max() > 1e-4, "training has an effect"
    merged = technique.finalize(wrapped).eval()
    assert type(merged) is type(model)
    assert list(merged.state_dict()) == keys
    assert all(p.requires_grad for p in merged.parameters())
    torch.testing.assert_close(logits(merged), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("method", METHODS)
def test_the_head_of_a_classifier_is_trained_as_a_whole(method: str, name: str):
    torch.manual_seed(0)
    model, technique = CLASSIFIERS[name](), METHODS[method]()
    keys = list(model.state_dict())
    heads = [c for c, _ in model.named_children() if c not in ("transformer", "bert")]
    wrapped = technique.transform(model)
    free = {n for n, p in wrapped.named_parameters() if p.requires_grad}
    plain = {n for n in free if PARTS[method] not in n}
    assert plain
    assert {n.split(".")[0] for n in plain} <= set(heads)
    assert not any(n.split(".")[0] in heads for n in free - plain)
    expected = logits(trained(wrapped, labels=torch.tensor([0, 1, 1])))
    merged = technique.finalize(wrapped).eval()
    assert list(merged.state_dict()) == keys
    torch.testing.assert_close(logits(merged), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_targets_are_names_or_patterns(method: str):
    wrapped = METHODS[method](targets=["*.0.attention.q*"]).transform(MODELS["gpt"]())
    places = {n.split(f".{PARTS[method]}")[0] for n, p in wrapped.named_parameters()
              if p.requires_grad}  # fmt: skip
    assert places == {"transformer.layers.0.attention.qkv"}


@pytest.mark.parametrize("method", METHODS)
def test_a_target_that_names_nothing_is_refused(method: str):
    with pytest.raises(InputError, match=rf"compression\.{method}\.targets: 'quary'.*it has.*qkv"):
        METHODS[method](targets=["quary"]).transform(MODELS["gpt"]())


@pytest.mark.parametrize("method", METHODS)
def test_a_head_alone_cannot_be_adapted(method: str):
    with pytest.raises(InputError, match=r"score.*trained as a whole"):
        METHODS[method](targets=["score"]).transform(CLASSIFIERS["gpt"]())


@pytest.mark.parametrize("method", METHODS)
def test_each_excludes_the_others_and_masks(method: str):
    catalog = Catalog([package_conf()])
    picks = {}
    for option in catalog.options["compression"]:
        source = catalog.source("compression", option)
        assert source is not None
        picks[option] = Pick("compression", option, source)
    refused = {o for o, p in picks.items() if o != method and pair_refusal(picks[method], p, {})}
    assert refused == {
        "lora",
        "adapters",
        "prefix_tuning",
        "qlora",
        "prune_movement",
        "lottery_ticket",
        "ternary",
        *METHODS,
        "prune_magnitude",
        "prune_gradual",
        "qat",
    } - {method}


@pytest.mark.parametrize("method", METHODS)
def test_muon_needs_matrices_to_step(method: str):
    catalog, picks = Catalog([package_conf()]), []
    for axis, option in (("optimizer", "muon"), ("compression", method)):
        source = catalog.source(axis, option)
        assert source is not None
        picks.append(Pick(axis, option, source))
    refused = pair_refusal(*picks, {})
    assert ("no matrix" in refused) == (method in ("vera", "ia3", "oft"))


def test_the_merged_model_can_be_quantized():
    model, technique, after = MODELS["gpt"](), METHODS["dora"](), QuantizeInt8()
    for step in (technique, after):
        model = step.transform(model)
    expected = logits(trained(model, labels=IDS))
    for step in (technique, after):
        model = step.finalize(model)
    assert after.report()["layers"] == 8
    torch.testing.assert_close(logits(model), expected, atol=0.2, rtol=0)


def test_a_run_of_a_preset_is_loaded_as_any_other(train: Callable[..., RunFolder]):
    from loomlab.run.finished_run import FinishedRun

    small = ["model.layers=1", "model.width=16", "model.heads=2", "optimizer.lr=0.01"]
    folder = train(*small, "compression=[pissa]", "compression.pissa.rank=2")
    summary = folder.summary()
    assert 0 < summary["compression"]["LoRA"]["trainable_parameters"] < summary["parameters"]
    model = FinishedRun(folder.path).model
    assert sum(p.numel() for p in model.parameters()) == summary["parameters"]
