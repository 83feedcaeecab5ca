"""Attention probabilities are those the model really uses, and they are drawn."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from loomlab.attention.base import Attention
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.probe.attention_maps import chosen
from loomlab.probe.attention_probabilities import attention_probabilities
from loomlab.run.folder import RunFolder

TOKENS, HEADS, WIDTH = 40, 2, 80  # a head is as wide as the text is long, see `by_values`
ATTENTION = {
    "full": None,
    "window": {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 6},
}
POSITION = {
    name: {"_target_": f"loomlab.position.{name}.{cls}"}
    for name, cls in {"learned": "Learned", "rope": "RoPE", "alibi": "ALiBi"}.items()
}
MODELS = {"gpt": (GPTConfig, "causal_lm"), "bert": (BERTConfig, "masked_lm")}
HF = {
    ("gpt2", "causal_lm"): {"n_layer": 2, "n_embd": 16, "n_head": 2},
    ("llama", "causal_lm"): {
        "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 32,
    },
    ("bert", "masked_lm"): {
        "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2,
        "intermediate_size": 32,
    },
}  # fmt: skip


def by_values(model: torch.nn.Module, ids: torch.Tensor) -> list[torch.Tensor]:
    """The probabilities from the attention's own kernel: values that are the identity matrix."""
    found = []

    def catch(attention: Attention, inputs: tuple) -> None:
        q, k, v, layout = inputs
        identity = torch.eye(TOKENS).expand(*v.shape[:2], -1, -1)
        found.append(attention.forward(q, k, identity, layout))

    hooks = [
        m.register_forward_pre_hook(catch) for m in model.modules() if isinstance(m, Attention)
    ]
    model(input_ids=ids)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("position", POSITION)
@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("kind", MODELS)
@torch.no_grad()
def test_own_models(kind: str, attention: str, position: str):
    torch.manual_seed(1)
    config, head = MODELS[kind]
    model = config(
        layers=2, width=WIDTH, heads=HEADS, initializer_range=0.3, vocab_size=64,
        context_length=TOKENS, attention=ATTENTION[attention], position=POSITION[position],
    ).build(head).eval()  # fmt: skip
    ids = torch.randint(0, 64, (1, TOKENS))
    maps = attention_probabilities(model, ids)
    expected = by_values(model, ids)
    assert [m.shape for m in maps] == [(1, HEADS, TOKENS, TOKENS)] * 2
    for got, want in zip(maps, expected, strict=True):
        torch.testing.assert_close(got.sum(-1), torch.ones(1, HEADS, TOKENS), atol=1e-5, rtol=0)
        torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
        assert got.std() > 0.01, "a flat picture would prove nothing"
        if kind == "gpt":
            assert got.triu(1).count_nonzero() == 0
        if attention == "window" and kind == "gpt":
            assert got.tril(-6).count_nonzero() == 0


@pytest.mark.parametrize(("kind", "head"), HF, ids=lambda word: word)
@torch.no_grad()
def test_transformers_models(kind: str, head: str):
    torch.manual_seed(1)
    option = HFModel(
        architecture_type=kind, config=HF[kind, head], vocab_size=64, context_length=TOKENS
    )
    model = option.build(head).eval()
    ids = torch.randint(0, 64, (1, TOKENS))
    before, logits = model.config._attn_implementation, model(input_ids=ids).logits
    assert before == "sdpa"
    maps = attention_probabilities(model, ids)
    assert model.config._attn_implementation == before
    torch.testing.assert_close(model(input_ids=ids).logits, logits)
    assert [m.shape for m in maps] == [(1, 2, TOKENS, TOKENS)] * 2
    for got in maps:
        torch.testing.assert_close(got.sum(-1), torch.ones(1, 2, TOKENS), atol=1e-5, rtol=0)
    if kind == "gpt2":  # the first layer again, from its own weights
        block = model.transformer.h[0]
        place = torch.arange(TOKENS)[None]
        x = block.ln_1(model.transformer.wte(ids) + model.transformer.wpe(place))
        q, k = (block.attn.c_attn(x).split(16, -1)[i].view(1, TOKENS, 2, 8) for i in (0, 1))
        scores = torch.einsum("bthk,bshk->bhts", q, k) / 8**0.5
        hidden = torch.ones(TOKENS, TOKENS).triu(1).bool()
        want = scores.masked_fill(hidden, float("-inf")).softmax(-1)
        torch.testing.assert_close(maps[0], want, atol=1e-5, rtol=0)


def test_a_model_without_attention_has_none():
    assert attention_probabilities(torch.nn.Linear(2, 2), torch.zeros(1, 2)) == []


def test_pictures_of_a_run(train: Callable[..., RunFolder]):
    folder = train(
        *("model.layers=3", "model.width=16", "model.heads=2", "budget.steps=2"),
        *("trainer.val_every_n_steps=1", "probe=[attention_maps]", "logger=[wandb,tensorboard]"),
        *("logger.wandb.mode=offline", "probe.attention_maps.heads=[1]"),
        "probe.attention_maps.text='costs $5\n and 50% of all\\_'",
    )
    names = sorted(p.name for p in (folder.path / "probe").iterdir())
    assert names == ["attention_step000001.png", "attention_step000002.png"]
    assert len(list(folder.path.rglob("wandb/**/media/images/probe/attention*.png"))) == 2
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    images = EventAccumulator(str(folder.path / "tensorboard")).Reload().Images("probe/attention")
    assert [image.step for image in images] == [1, 2]
    size = dimensions(folder.path / "probe" / names[0])
    assert size[1] > 1.5 * size[0], "two layers, one head"


def test_layers_that_are_not_there_end_nothing(
    train: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture
):
    folder = train(
        *("model.layers=1", "model.width=16", "model.heads=2", "trainer.val_every_n_steps=1"),
        *("probe=[attention_maps]", "probe.attention_maps.layers=[7]"),
    )
    assert not (folder.path / "probe").exists()
    (line,) = [r.getMessage() for r in caplog.records if "attention_maps" in r.getMessage()]
    assert "1 layers, 2 heads" in line


def dimensions(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as image:
        return image.size


def test_layers_and_heads_are_chosen():
    assert chosen([], 3) == [0, 1, 2]
    assert chosen([0, -1], 3) == [0, 2]
    assert chosen([0, -1], 1) == [0]
    assert chosen([5, 1], 3) == [1]
