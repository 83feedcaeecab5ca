"""QLoRA: integers rest while adapters train; what is saved is what was trained, in floats."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from loomlab.compression.qlora import QLoRA, Resting
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24}
OWN = {"layers": 2, "width": 16, "heads": 2, "initializer_range": 0.2, **SIZES}
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def logits(model: nn.Module) -> torch.Tensor:
    answer: torch.Tensor = model.eval()(input_ids=IDS).logits
    return answer


@pytest.mark.parametrize(("frozen", "off"), [("nf4", 1.5), ("int4", 1.5), ("int8", 0.1)])
def test_adapters_train_beside_integers_and_merge_exactly(frozen: str, off: float):
    torch.manual_seed(0)
    model, technique = GPTConfig(**OWN).build("causal_lm"), QLoRA(rank=4, frozen=frozen)
    keys, start = list(model.state_dict()), logits(model)
    wrapped = technique.transform(model)
    assert 0 < (logits(wrapped) - start).abs().max() < off, "it starts as the rounded model"
    held = [m for m in wrapped.modules() if isinstance(m, Resting)]
    codes = [m.codes.clone() for m in held]
    assert len(held) == 8
    free = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}
    assert all(".lora_" in n for n in free)
    optimizer = torch.optim.AdamW(free.values(), lr=0.02)
    losses = []
    for _ in range(6):
        loss = wrapped(input_ids=IDS, labels=IDS).loss
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] - 0.1
    assert all(torch.equal(m.codes, c) for m, c in zip(held, codes, strict=True))
    expected = logits(wrapped)
    merged = technique.finalize(wrapped)
    assert sorted(merged.state_dict()) == sorted(keys)
    assert not any(isinstance(m, Resting) for m in merged.modules())
    torch.testing.assert_close(logits(merged), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_the_weight_and_it_is_not_kept(dtype: torch.dtype):
    torch.manual_seed(0)
    linear = nn.Linear(16, 24)
    codes = torch.randint(-127, 128, (24, 16))
    layer = Resting.of(linear, codes, torch.full((24, 1), 0.01), 8, "int")
    x, y = (torch.randn(5, 16, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    x.requires_grad_(), y.requires_grad_()
    kept: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            mine = layer(x)
        plain = layer.as_floats()(y)
    assert 24 * 16 not in kept
    assert mine.dtype == plain.dtype == dtype
    torch.testing.assert_close(mine, plain)
    mine.float().square().sum().backward()
    plain.float().square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=0.02, atol=0.02)


def test_targets_that_are_not_there_and_layers_that_are_no_linear_are_refused():
    with pytest.raises(InputError, match=r"compression\.qlora\.targets: 'quary'"):
        QLoRA(targets=["quary"]).transform(GPTConfig(**OWN).build("causal_lm"))
    config = {"n_layer": 1, "n_head": 2, "n_embd": 16}
    model = HFModel(architecture_type="gpt2", config=config, **SIZES).build("causal_lm")
    with pytest.raises(InputError, match="are Conv1D, and it acts on"):
        QLoRA().transform(model)


def test_a_run_ends_in_a_plain_model(train: Callable[..., RunFolder]):
    from loomlab.run.finished_run import FinishedRun

    folder = train("model.layers=1", "model.width=16", "model.heads=2", "compression=[qlora]")
    model = FinishedRun(folder.path).model
    assert sum(p.numel() for p in model.parameters()) == folder.summary()["parameters"]
    assert "loomlab_layers" not in (folder.model / "config.json").read_text(encoding="utf-8")
