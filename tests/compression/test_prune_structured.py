"""Structured pruning: tensors get smaller, and what is left is solved by least squares."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

from loomlab.compression.fewer_blocks import least
from loomlab.compression.narrowing import scores, solved
from loomlab.compression.prune_structured import PruneStructured
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.model.saved import load_pretrained
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
OWN = {"layers": 2, "width": 32, "heads": 2, "initializer_range": 0.2, **SIZES}
HF = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}
GROUPED = {"num_attention_heads": 8, "num_key_value_heads": 4}
IDS = torch.randint(2, 50, (6, 24), generator=torch.Generator().manual_seed(0))


def hf(model_type, head, **more):
    settings = {"architecture_type": model_type, "config": {**HF, **more}, **SIZES}
    return lambda: HFModel(**settings).build(head)


MODELS = {
    "gpt": ("causal_lm", lambda: GPTConfig(**OWN).build("causal_lm")),
    "swiglu": ("causal_lm", lambda: GPTConfig(activation="swiglu", **OWN).build("causal_lm")),
    "bert": ("masked_lm", lambda: BERTConfig(**OWN).build("masked_lm")),
    "llama": ("causal_lm", hf("llama", "causal_lm")),
    "hf bert": ("masked_lm", hf("bert", "masked_lm")),
}
ROTARY = {"_target_": "loomlab.position.rope.RoPE"}
ALIBI = {"_target_": "loomlab.position.alibi.Alibi"}
HEADED = {
    **MODELS,
    "rotary": ("causal_lm", lambda: GPTConfig(position=ROTARY, **OWN).build("causal_lm")),
    "grouped": ("causal_lm", hf("llama", "causal_lm", **GROUPED)),
    "qwen3": ("causal_lm", hf("qwen3", "causal_lm", head_dim=8, **GROUPED)),
}


def t5() -> nn.Module:
    """An encoder and a decoder."""
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "num_layers": 2}
    return T5ForConditionalGeneration(T5Config(vocab_size=50, **sizes))


def finished(model: nn.Module, **settings):
    """The technique, once it has finished the model."""
    technique = PruneStructured(**settings)
    technique.transform(model)
    technique.calibrate([{"input_ids": IDS}])
    technique.finalize(model)
    return technique


def reloaded(model, head: str, folder):
    """The same model from disk, which must answer the same; with a cache, too."""
    model.save_pretrained(folder)
    again = load_pretrained(folder, head).eval()
    with torch.no_grad():
        logits = again(input_ids=IDS).logits
        assert torch.equal(logits, model(input_ids=IDS).logits)
        if head == "causal_lm":
            start = again(input_ids=IDS[:, :9], use_cache=True)
            rest = again(input_ids=IDS[:, 9:], past_key_values=start.past_key_values).logits
            torch.testing.assert_close(rest, logits[:, 9:], atol=1e-4, rtol=1e-4)
            assert again.generate(IDS[:, :4], max_new_tokens=3, do_sample=False).shape == (6, 7)
    return again


@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_narrower_and_loads_again(name: str, tmp_path):
    torch.manual_seed(0)
    head, build = MODELS[name]
    model, technique = build().eval(), PruneStructured(channels=0.5)
    technique.transform(model)
    technique.calibrate([{"input_ids": IDS}])
    before = sum(p.numel() for p in model.parameters())
    widths = [layer.in_features for layer in technique.layers(model).values()]
    technique.finalize(model)
    narrow = [layer.in_features for layer in technique.layers(model).values()]
    assert len(narrow) == 2
    assert all(8 * round(was / 16) == now for was, now in zip(widths, narrow, strict=True))
    lost = before - sum(p.numel() for p in model.parameters())
    assert lost == technique.report()["weights_dropped"] > 0
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        again = load_pretrained(tmp_path, head).eval()
        assert torch.equal(again(input_ids=IDS).logits, model(input_ids=IDS).logits)


@pytest.mark.parametrize("name", HEADED)
def test_heads_go_and_the_model_loads_again(name: str, tmp_path):
    torch.manual_seed(0)
    head, build = HEADED[name]
    model = build().eval()
    before = sum(p.numel() for p in model.parameters())
    technique = finished(model, channels=0.0, heads=0.5)
    dropped = technique.report()["heads_dropped"]
    assert dropped == (4 if name in ("grouped", "qwen3") else 2)  # a half, of each of two blocks
    again = reloaded(model, head, tmp_path)
    lost = before - sum(p.numel() for p in again.parameters())
    assert lost == technique.report()["weights_dropped"] > 0
    assert "channels_dropped" not in technique.report()


@pytest.mark.parametrize("name", HEADED)
def test_a_head_that_says_nothing_goes_without_a_trace(name: str):
    torch.manual_seed(0)
    model = HEADED[name][1]().eval()
    with torch.no_grad():
        for reader in PruneStructured(channels=0.0, heads=0.5).layers(model).values():
            reader.weight[:, : reader.in_features // 2] = 0
        expected = model(input_ids=IDS).logits
        finished(model, channels=0.0, heads=0.5, damping=1e-9)
        torch.testing.assert_close(model(input_ids=IDS).logits, expected, atol=1e-4, rtol=1e-4)


def test_a_unit_is_scored_by_what_it_adds():
    torch.manual_seed(0)
    x_NF, weight_OF = torch.randn(50, 6), torch.randn(3, 6)
    added = [(x_NF[:, u : u + 2] @ weight_OF[:, u : u + 2].T).square().sum() for u in (0, 2, 4)]
    made = scores(weight_OF, x_NF.T @ x_NF, 3)
    torch.testing.assert_close(made.float(), torch.stack(added))


@pytest.mark.parametrize("by", ["influence", "angle"])
@pytest.mark.parametrize("name", ["gpt", "bert", "grouped", "hf bert"])
def test_blocks_that_do_nothing_go_without_a_trace(name: str, by: str, tmp_path):
    """Of four blocks the middle two change nothing: those go, and plain Transformers loads it."""
    torch.manual_seed(0)
    head, own = HEADED[name][0], {"layers": 4, "norm_order": "pre"}
    build = {
        "gpt": lambda: GPTConfig(**{**OWN, **own}).build(head),
        "bert": lambda: BERTConfig(**{**OWN, **own}).build(head),
        "grouped": hf("llama", head, num_hidden_layers=4, **GROUPED),
        "hf bert": hf("bert", head, num_hidden_layers=4),
    }
    model = build[name]().eval()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            ends = ("out.weight", "out.bias", "o_proj.weight", "down_proj.weight")
            if key.endswith((*ends, "output.dense.weight")) and (".1." in key or ".2." in key):
                weight.zero_()
        expected = model(input_ids=IDS).logits
        report = finished(model, channels=0.0, layers=0.5, layers_by=by).report()
        assert report["layers_dropped"] == 2
        assert model.config.num_hidden_layers == 2
        assert not getattr(model.config, "loomlab_layers", None)
        answer = reloaded(model, head, tmp_path)(input_ids=IDS).logits
        torch.testing.assert_close(answer, expected, atol=1e-4, rtol=1e-4)


def test_all_three_at_once(tmp_path):
    torch.manual_seed(0)
    model = GPTConfig(**{**OWN, "layers": 3}).build("causal_lm").eval()
    targets = ["layers.0.mlp.out", "layers.2.mlp.out", "attention.out"]
    report = finished(model, channels=0.5, heads=0.5, layers=0.34, targets=targets).report()
    assert report["layers_dropped"] == 1
    assert report["heads_dropped"] == 2
    assert report["channels_dropped"] in (64, 128)  # one of those named may be gone
    reloaded(model, "causal_lm", tmp_path)


def test_which_blocks_are_dropped_by_hand():
    alike = {(0, 1): 0.1, (1, 2): 0.9, (2, 3): 0.2, (3, 4): 0.8, (0, 2): 0.5, (1, 3): 0.6,
             (2, 4): 0.4}  # fmt: skip
    assert least(lambda n, m: alike[n, m], 4, 2, "influence") == [1, 3]
    assert least(lambda n, m: alike[n, m], 4, 2, "angle") == [1, 2]


@pytest.mark.parametrize(
    ("settings", "build", "said"),
    [
        ({"channels": 0.0}, MODELS["gpt"][1], "all 0"),
        ({"heads": 0.2}, MODELS["gpt"][1], r"heads=0\.2 of 2 .* is none: give at least 0\.5"),
        ({"layers": 0.1}, MODELS["gpt"][1], r"layers=0\.1 of 2 blocks is none"),
        ({"heads": 0.5}, lambda: GPTConfig(position=ALIBI, **OWN).build("causal_lm"), "Alibi"),
        ({"heads": 0.5}, hf("olmo2", "causal_lm"), r"q_norm.*heads=0"),
        ({"heads": 0.5}, hf("phi3", "causal_lm"), r"reads one of the .*heads of an attention"),
        ({"channels": 0.0, "layers": 0.5}, t5, r"decoder\.block and encoder\.block"),
        ({"heads": 0.5, "targets": ["qkv"]}, MODELS["gpt"][1], r"attention\.qkv reads none"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(settings, build, said: str):
    with pytest.raises(InputError, match=said):
        PruneStructured(**settings).transform(build())


@pytest.mark.parametrize("name", MODELS)
def test_channels_that_say_nothing_go_without_a_trace(name: str):
    """Half of the channels are silenced: those are found, and the answers stay as they were."""
    torch.manual_seed(0)
    model, technique = MODELS[name][1]().eval(), PruneStructured(channels=0.5)
    technique.transform(model)
    for layer in technique.layers(model).values():
        layer.weight.data[:, ::2] = 0
    with torch.no_grad():
        expected = model(input_ids=IDS).logits
    technique.channels = 0.25  # the silent ones are not all that go
    technique.calibrate([{"input_ids": IDS}])
    technique.finalize(model)
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=IDS).logits, expected, atol=5e-3, rtol=5e-3)


def test_what_is_left_is_the_least_squares_solution():
    torch.manual_seed(0)
    x = torch.randn(200, 8) @ torch.randn(8, 8)
    layer, kept = nn.Linear(8, 3, bias=False), torch.tensor([0, 2, 3, 7])
    with torch.no_grad():
        made = solved(layer.weight, x.T @ x, kept, 1e-9)
        best = torch.linalg.lstsq(x[:, kept], x @ layer.weight.T).solution.T
        torch.testing.assert_close(made, best, atol=1e-4, rtol=1e-4)


def test_what_is_no_feed_forward_layer_is_refused():
    model = MODELS["gpt"][1]()
    with pytest.raises(InputError, match=r"attention\.qkv reads.*mlp\.out"):
        PruneStructured(targets=["qkv"]).transform(model)


def test_a_run_ends_narrow_and_quantized(train: Callable[..., RunFolder]):
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    summary = train(*small, "compression=[prune_structured,prune_wanda,quantize_int8]").summary()
    before, after = summary["compressed"]["before"], summary["compressed"]["after"]
    lost = summary["compression"]["PruneStructured"]["weights_dropped"]
    assert before["parameters"] - after["parameters"] == lost == 16 * (16 + 16 + 1)
    assert summary["compression"]["QuantizeInt8"]["sparsity"] >= 0.5
