"""Low rank: the best there is of its rank, by Eckart and Young, and really smaller."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from loomlab.compression.low_rank import LowRank
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.model.reshaped import QuantizedLinear
from loomlab.model.saved import load_pretrained
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
SMALL = ["model.layers=1", "model.width=32", "model.heads=2"]


def problem() -> tuple[nn.Linear, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(300, 16) @ torch.randn(16, 16)
    return nn.Linear(16, 12), x


def test_the_error_is_that_of_the_singular_values_left_out():
    layer, x = problem()
    with torch.no_grad():
        made = LowRank(rank=4, damping=1e-9).factored(layer, x.T @ x)
        best = torch.linalg.svdvals((x @ layer.weight.T).double())[4:].pow(2).sum()
        torch.testing.assert_close(
            ((made(x) - layer(x)) ** 2).sum(), best.float(), rtol=1e-3, atol=0
        )
        plain = LowRank(rank=4).factored(layer, None)
        assert ((plain(x) - layer(x)) ** 2).sum() > best
        values = torch.linalg.svdvals(layer.weight)[4:].pow(2).sum()
        off = plain[1].weight @ plain[0].weight - layer.weight
        torch.testing.assert_close((off**2).sum(), values, rtol=1e-3, atol=0)


def test_inputs_that_are_always_zero_do_no_harm():
    layer, x = problem()
    x[:, 3] = 0
    with torch.no_grad():
        made = LowRank(rank=4).factored(layer, x.T @ x)
        assert made(x).isfinite().all()


def test_a_rank_that_saves_nothing_is_refused():
    model = GPTConfig(layers=1, width=16, heads=2, **SIZES).build("causal_lm")
    with pytest.raises(InputError, match=r"rank=8 makes \S+attention\.out \(16 x 16\) no smaller"):
        LowRank(rank=8).transform(model)
    LowRank(rank=7).transform(model)


def test_it_loads_again_as_it_was_saved(tmp_path):
    torch.manual_seed(0)
    model = GPTConfig(layers=2, width=32, heads=2, **SIZES).build("causal_lm").eval()
    ids = torch.randint(2, 50, (4, 24))
    technique = LowRank()
    technique.transform(model)
    technique.calibrate([{"input_ids": ids}])
    before = sum(p.numel() for p in model.parameters())
    technique.finalize(model)
    figures = technique.report()
    lost = figures["weights"] - figures["weights_kept"]
    assert sum(p.numel() for p in model.parameters()) == before - lost
    assert figures["weights_kept"] <= 0.5 * figures["weights"]
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        again = load_pretrained(tmp_path, "causal_lm")(input_ids=ids).logits
        assert torch.equal(again, model(input_ids=ids).logits)


def test_thin_layers_are_quantized_in_turn(train: Callable[..., RunFolder]):
    folder = train(*SMALL, "compression=[quantize_int8,low_rank]")
    summary = folder.summary()
    figures = summary["compression"]
    assert figures["QuantizeInt8"]["layers"] == 2 * figures["LowRank"]["layers"]
    assert figures["QuantizeInt8"]["weights"] == figures["LowRank"]["weights_kept"]
    after, before = summary["compressed"]["after"], summary["compressed"]["before"]
    assert after["parameters"] < before["parameters"]
    layers = [
        m for m in FinishedRun(folder.path).model.modules() if isinstance(m, QuantizedLinear)
    ]
    assert len(layers) == figures["QuantizeInt8"]["layers"]
