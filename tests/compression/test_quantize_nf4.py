"""4-bit weights (nf4): half a byte each on disk, and what does not fit is refused by name."""

import pytest
import torch
from safetensors.torch import load_file

from loomlab.compression.prune_magnitude import PruneMagnitude
from loomlab.compression.quantize_nf4 import QuantizeNF4
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.model.saved import load_pretrained

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))


def gpt():
    torch.manual_seed(0)
    return GPTConfig(layers=2, width=32, heads=2, **SIZES).build("causal_lm").eval()


def test_it_loads_again_as_it_was_saved(tmp_path):
    model, technique = gpt(), QuantizeNF4(group_size=16)
    technique.transform(model)
    technique.finalize(model)
    assert technique.report()["bits_per_weight"] == 5, "4, and 16 for every 16 weights"
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    codes = saved["transformer.layers.0.attention.qkv.codes"]
    assert codes.shape == (96, 16)
    assert codes.dtype == torch.uint8
    with torch.no_grad():
        again = load_pretrained(tmp_path, "causal_lm")(input_ids=IDS).logits
        assert torch.equal(again, model(input_ids=IDS).logits)


def test_what_was_pruned_stays_zero():
    model = gpt()
    first, then = PruneMagnitude(pattern="2:4"), QuantizeNF4()
    then.transform(first.transform(model))
    zeros = {n: p == 0 for n, p in model.named_parameters() if "layers" in n and p.ndim == 2}
    first.finalize(model)
    then.finalize(model)
    assert zeros
    for name, zero in zeros.items():
        assert (model.get_submodule(name.removesuffix(".weight")).weight == 0)[zero].all()


def test_a_group_that_does_not_divide_is_refused_before_training():
    with pytest.raises(InputError, match=r"quantize_nf4\.group_size=24 .* 32 inputs of transf"):
        QuantizeNF4(group_size=24).transform(gpt())
