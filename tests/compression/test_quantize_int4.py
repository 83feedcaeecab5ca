"""4-bit weights (int4): half a byte each on disk, and what does not fit is refused by name."""

import pytest
import torch
from safetensors.torch import load_file

from loomlab.compression.prune_magnitude import PruneMagnitude
from loomlab.compression.quantize_int4 import QuantizeInt4
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.model.saved import load_pretrained

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))


def gpt():
    torch.manual_seed(0)
    return GPTConfig(layers=2, width=32, heads=2, **SIZES).build("causal_lm").eval()


def test_it_loads_again_as_it_was_saved(tmp_path):
    model, technique = gpt(), QuantizeInt4(group_size=16)
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


def test_three_bits_are_seven_values_saved_in_four():
    model, technique = gpt(), QuantizeInt4(bits=3, group_size=16)
    technique.finalize(technique.transform(model))
    layer = model.transformer.layers[0].attention.qkv
    scales = layer.scales.float().repeat_interleave(16, dim=1)
    assert (layer.weight / scales).round().unique().tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert technique.report()["bits_per_weight"] == 5, "4, and 16 for every 16 weights"


def test_what_was_pruned_stays_zero():
    model = gpt()
    first, then = PruneMagnitude(pattern="2:4"), QuantizeInt4()
    then.transform(first.transform(model))
    zeros = {n: p == 0 for n, p in model.named_parameters() if "layers" in n and p.ndim == 2}
    first.finalize(model)
    then.finalize(model)
    assert zeros
    for name, zero in zeros.items():
        assert (model.get_submodule(name.removesuffix(".weight")).weight == 0)[zero].all()


def test_a_group_that_does_not_divide_is_refused_before_training():
    with pytest.raises(InputError, match=r"quantize_int4\.group_size=24 .* 32 inputs of transf"):
        QuantizeInt4(group_size=24).transform(gpt())
