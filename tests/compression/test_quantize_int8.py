"""8-bit weights: really small on disk, and the same model once loaded again."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file

from loomlab.compression.prune_magnitude import PruneMagnitude
from loomlab.compression.quantize_int8 import QuantizeInt8
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.model.reshaped import QuantizedLinear
from loomlab.model.saved import load_pretrained
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
OWN = {"layers": 2, "width": 32, "heads": 2, "initializer_range": 0.2, **SIZES}
HF = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))


def hf(model_type, head, **more):
    settings = {"architecture_type": model_type, "config": {**HF, **more}, **SIZES}
    return lambda: HFModel(**settings).build(head)


MODELS = {
    "gpt tied": ("causal_lm", lambda: GPTConfig(tied=True, **OWN).build("causal_lm")),
    "bert": ("masked_lm", lambda: BERTConfig(**OWN).build("masked_lm")),
    "llama": ("causal_lm", hf("llama", "causal_lm")),
    "llama tied": ("causal_lm", hf("llama", "causal_lm", tie_word_embeddings=True)),
    "hf bert": ("masked_lm", hf("bert", "masked_lm")),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_loads_again_as_it_was_saved(name: str, tmp_path):
    torch.manual_seed(0)
    head, build = MODELS[name]
    model = build().eval()
    dense = model(input_ids=IDS).logits
    technique = QuantizeInt8()
    technique.transform(model)
    technique.finalize(model)
    with torch.no_grad():
        expected = model(input_ids=IDS).logits
    assert 0 < (expected - dense).abs().max() < 0.1 * dense.abs().max()
    model.save_pretrained(tmp_path)
    again = load_pretrained(tmp_path, head).eval()
    with torch.no_grad():
        assert torch.equal(again(input_ids=IDS).logits, expected)
    kept = {n: p.data_ptr() for n, p in again.named_parameters(remove_duplicate=False)}
    tied = getattr(model, "all_tied_weights_keys", {})
    assert all(kept[one] == kept[other] for one, other in tied.items())
    saved = load_file(tmp_path / "model.safetensors")
    codes = {n: t for n, t in saved.items() if n.endswith(".codes")}
    assert len(codes) == technique.report()["layers"] > 3
    assert all(t.dtype == torch.int8 for t in codes.values())


@torch.no_grad()
def test_dynamic_rounds_inputs_token_by_token_too(tmp_path):
    torch.manual_seed(0)
    model = GPTConfig(**OWN).build("causal_lm").eval()
    technique, seen = QuantizeInt8(dynamic=True), []
    dense = model(input_ids=IDS).logits
    technique.finalize(technique.transform(model))
    layer = model.get_submodule("transformer.layers.1.mlp.up")
    layer.register_forward_hook(lambda _, given, made: seen.extend((given[0], made)))
    answer = model(input_ids=IDS).logits
    assert 0 < (answer - dense).abs().max() < 0.1 * dense.abs().max()
    x, made = seen
    size = x.abs().amax(-1, keepdim=True) / 127
    whole = torch.round(x / size).double() @ layer.codes.double().T
    assert whole.abs().max() > 127, "sums of products of integers"
    expected = whole * size * layer.scales.T + layer.bias
    torch.testing.assert_close(made, expected.float(), atol=1e-5, rtol=1e-5)
    model.save_pretrained(tmp_path)
    assert torch.equal(load_pretrained(tmp_path, "causal_lm").eval()(IDS).logits, answer)


def test_what_was_pruned_stays_zero_and_the_share_exact():
    torch.manual_seed(0)
    model = GPTConfig(**OWN).build("causal_lm")
    first, then = PruneMagnitude(scope="layer"), QuantizeInt8()
    then.transform(first.transform(model))
    zeros = {n: p == 0 for n, p in model.named_parameters() if "layers" in n and p.ndim == 2}
    first.finalize(model)
    then.finalize(model)
    for name, zero in zeros.items():
        layer = model.get_submodule(name.removesuffix(".weight"))
        assert isinstance(layer, QuantizedLinear)
        assert torch.equal(layer.weight == 0, zero)
    assert then.report()["sparsity"] == 0.5


def test_a_target_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"quantize_int8\.targets: 'quary'.*qkv"):
        QuantizeInt8(targets=["quary"]).transform(GPTConfig(**OWN).build("causal_lm"))


def test_a_run_is_saved_small_and_is_used_as_any_other(train: Callable[..., RunFolder]):
    given = ["model.layers=2", "model.width=64", "model.heads=2"]
    folder = train(*given, "compression=[quantize_int8]")
    summary = folder.summary()
    before, after = summary["compressed"]["before"], summary["compressed"]["after"]
    written = (folder.model / "model.safetensors").stat().st_size
    assert after["bytes_on_disk"] == written < 0.45 * 4 * before["parameters"]
    assert after["parameters"] == before["parameters"] == summary["parameters"]
    assert summary["compression"]["QuantizeInt8"]["bits_per_weight"] < 8.6
    assert abs(after["val/loss"] / before["val/loss"] - 1) < 0.01
    finished = FinishedRun(folder.path)
    objective, corpus = finished.with_corpus()
    from loomlab.run.evaluation import evaluate

    numbers = evaluate(objective, corpus, summary["precision"] == "bf16-mixed", 2)
    assert numbers["val/loss"] == pytest.approx(summary["best"]["val/loss"], rel=1e-6)
