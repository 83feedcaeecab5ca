"""Plain products, whose weights can be looked at, in place of the fused kernel."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from loomlab.attention.base import Attention
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.transformer import Transformer
from loomlab.position.base import Position
from loomlab.probe.attention_probabilities import attention_probabilities

SIZES: dict[str, Any] = {
    "layers": 1, "width": 16, "heads": 2, "vocab_size": 32, "context_length": 12,
}  # fmt: skip
ATTENTIONS: list[dict[str, Any] | None] = [
    None, {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 5},
]  # fmt: skip


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("position", ["learned.Learned", "rope.RoPE", "alibi.ALiBi"])
@pytest.mark.parametrize("kind", [GPTConfig, BERTConfig])
def test_plain_products_give_what_the_fused_kernel_gives(
    kind: Any, position: str, attention: dict[str, Any] | None, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    torch.manual_seed(0)
    placed = {"_target_": f"loomlab.position.{position}"}
    config = kind(**SIZES | {"initializer_range": 0.3}, attention=attention, position=placed)
    fused = config.build("causal_lm" if kind is GPTConfig else "masked_lm").eval()
    assert fused.config._attn_implementation == "sdpa"
    fused.save_pretrained(tmp_path)
    plain = type(fused).from_pretrained(tmp_path, attn_implementation="eager")
    ids, mask = torch.randint(0, 32, (2, 12)), torch.ones(2, 12, dtype=torch.long)
    mask[1, 7:] = 0
    wanted = fused(ids, attention_mask=mask).logits

    def refuse(*_: Any) -> None:
        raise AssertionError("a kernel that keeps no weights")

    for layer in plain.modules():
        if isinstance(layer, Attention):
            monkeypatch.setattr(type(layer), "mix", refuse)
    got = plain(ids, attention_mask=mask)
    torch.testing.assert_close(got.logits, wanted, atol=1e-5, rtol=1e-5)
    assert got.attentions is None
    asked = fused(ids, attention_mask=mask, output_attentions=True)  # whatever the kernel
    (weights,) = asked.attentions
    torch.testing.assert_close(asked.logits, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 12))
    assert not weights[1, :, :7, 7:].any()
    assert weights[0, :, 9, 2].any() != bool(attention)
    with pytest.raises(ValueError, match="Flash Attention"):
        fused.set_attn_implementation("flash_attention_2")


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("kind", [GPTConfig, BERTConfig])
def test_hooks_hear_the_same_however_attention_is_computed(
    kind: Any, attention: dict[str, Any] | None
):
    torch.manual_seed(0)
    config = kind(**SIZES | {"layers": 2, "initializer_range": 0.3}, attention=attention)
    tested = config.build("causal_lm" if kind is GPTConfig else "masked_lm").eval()
    names = {module: name for name, module in tested.named_modules()}
    heard: list[tuple[str, Any]] = []

    def note(module: nn.Module, _: Any, given: Any) -> None:
        heard.append((names[module], given if isinstance(given, Tensor) else given.logits))

    for module in tested.modules():
        if not isinstance(module, (Transformer, nn.ModuleList, Position)):
            module.register_forward_hook(note)
    ids = torch.randint(0, 32, (2, 12))
    tested(ids)
    fused, heard = heard, []
    assert {f"transformer.layers.{n}.attention.attention" for n in (0, 1)} < {n for n, _ in fused}
    tested.set_attn_implementation("eager")
    wanted = tested(ids, output_attentions=True).attentions
    assert [name for name, _ in heard] == [name for name, _ in fused]
    for (name, one), (_, other) in zip(fused, heard, strict=True):
        torch.testing.assert_close(one, other, msg=name, atol=1e-5, rtol=1e-5)
    for found, weights in zip(attention_probabilities(tested, ids), wanted, strict=True):
        torch.testing.assert_close(found, weights, atol=1e-6, rtol=1e-5)
