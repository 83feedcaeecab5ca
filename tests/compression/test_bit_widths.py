"""Bits of single layers by pattern, in every option that has them, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from loomlab.compression.awq import AWQ
from loomlab.compression.bit_widths import bits_by_name
from loomlab.compression.gptq import GPTQ
from loomlab.compression.quantize_int4 import QuantizeInt4
from loomlab.errors import InputError
from loomlab.model.reshaped import QuantizedLinear
from loomlab.run.folder import RunFolder

NAMES = dict.fromkeys(["layers.0.qkv", "layers.0.mlp.up", "layers.1.mlp.up", "layers.1.mlp.out"])
SMALL = ["model.layers=2", "model.width=16", "model.heads=2"]
Refused = Callable[..., str]


def test_the_last_pattern_that_fits_counts():
    assert bits_by_name(NAMES, 4, {}, "x") == dict.fromkeys(NAMES, 4)
    given = {"layers.*.mlp.*": 3, "up": 8, "layers.0.mlp.up": 2}
    assert list(bits_by_name(NAMES, 4, given, "x").values()) == [4, 2, 8, 3]


@pytest.mark.parametrize(
    ("bits_of", "words"),
    [
        ({"mlp.*": 3, "quary": 4}, r"gptq\.bits_of: 'quary' .* out, qkv, up"),
        ({"up": 5}, r"gptq\.bits_of: 5 bits for 'up'; give one of 2, 3, 4, 8"),
    ],
)
def test_what_cannot_be_is_refused_by_name(bits_of: dict[str, int], words: str):
    with pytest.raises(InputError, match=words):
        bits_by_name(NAMES, 4, bits_of, "gptq")


@pytest.mark.parametrize("kind", ["gpt", "llama"])
@pytest.mark.parametrize("option", [AWQ, GPTQ, QuantizeInt4])
def test_each_layer_has_its_bits(model: nn.Module, batch, loads_again, option: Any):
    technique = option(bits_of={"mlp.*": 8, "layers.1.mlp.*": 2})
    technique.transform(model)
    technique.calibrate([batch])
    technique.finalize(model)
    made = {n: m for n, m in model.named_modules() if isinstance(m, QuantizedLinear)}
    for name, layer in made.items():
        last = "layers.1.mlp" in name
        assert layer.bits == (2 if last else 8 if "mlp" in name else 4)
        assert len(layer.integers.unique()) <= (3 if last else 255)
    stored = sum(8 * t.nbytes for m in made.values() for t in m.buffers())
    weights = sum(m.weight.numel() for m in made.values())
    assert technique.report()["bits_per_weight"] == pytest.approx(stored / weights)
    loads_again(model)


def test_a_run_takes_globs(train: Callable[..., RunFolder]):
    given = ["compression=[quantize_int4]", "++compression.quantize_int4.bits_of={*.mlp.*:8,up:3}"]
    model = RunFolder(train(*SMALL, *given).path).model
    layers = (model / "config.json").read_text(encoding="utf-8")
    assert layers.count('"bits": 8') == 2, "mlp.out of both blocks"


@pytest.mark.parametrize(
    ("option", "bits_of", "words"),
    [
        ("awq", "{mlp.*:3,quary:3}", "'quary' is the name of no layer that is quantized"),
        ("gptq", "{up:5}", "'5' is none of 2, 3, 4, 8"),
    ],
)
def test_a_run_refuses_before_training(refused: Refused, option: str, bits_of: str, words: str):
    said = refused(f"compression=[{option}]", f"++compression.{option}.bits_of={bits_of}")
    assert f"compression.{option}.bits_of: {words}" in said
