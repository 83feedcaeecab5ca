"""OFT: weights are turned, not stretched; blocks divide the layers or are refused."""

import pytest
import torch

from loomlab.compression.oft import OFT
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig

OWN = {"layers": 1, "width": 16, "heads": 2, "vocab_size": 50, "context_length": 24}
IDS = torch.randint(0, 50, (2, 24), generator=torch.Generator().manual_seed(0))


def test_rows_keep_their_lengths_and_angles():
    torch.manual_seed(0)
    technique = OFT(exact=True)
    model = technique.transform(GPTConfig(**OWN).build("causal_lm"))
    before = model.get_submodule("transformer.layers.0.mlp.up").base_layer.weight.clone()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
    after = technique.finalize(model).get_submodule("transformer.layers.0.mlp.up").weight
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(after @ after.T, before @ before.T, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("asked", "size"), [(None, 16), (8, 8)])
def test_blocks(asked: int | None, size: int):
    model = OFT(block_size=asked).transform(GPTConfig(**OWN).build("causal_lm"))
    free = {n: p for n, p in model.named_parameters() if p.requires_grad}
    shapes = {n.split(".oft_")[0].split("0.", 1)[1]: tuple(p.shape) for n, p in free.items()}
    angles = size * (size - 1) // 2
    assert shapes["mlp.up"] == (16 // size, angles)
    assert shapes["mlp.out"] == (64 // size, angles)


@pytest.mark.parametrize(
    ("asked", "config", "said"),
    [
        (5, {}, "qkv has 16 inputs, which no block of 5 divides"),
        (None, {"activation": "swiglu"}, "mlp.out has 43 inputs, which no block of 32 or 16"),
    ],
)
def test_a_block_that_does_not_divide_is_refused(asked: int | None, config: dict, said: str):
    with pytest.raises(InputError, match=said):
        OFT(block_size=asked).transform(GPTConfig(**OWN, **config).build("causal_lm"))
