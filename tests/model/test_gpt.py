"""GPT against GPT-2 of Transformers, and what a decoder must hold under every option."""

import itertools
import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModel, AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig

ATTENTIONS = {
    "full": None,
    "window": {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 5},
}
POSITIONS = {
    "learned": None,
    "sinusoidal": {"_target_": "loomlab.position.sinusoidal.Sinusoidal"},
    "rope": {"_target_": "loomlab.position.rope.RoPE"},
    "alibi": {"_target_": "loomlab.position.alibi.ALiBi"},
    "none": {"_target_": "loomlab.position.none.NoPosition"},
}
EVERY = list(itertools.product(ATTENTIONS, POSITIONS))
SOME = [("full", "learned"), ("full", "rope"), ("window", "alibi"), ("window", "sinusoidal")]
VOCAB = 40


def gpt(attention="full", position="learned", **settings):
    torch.manual_seed(0)
    settings = {"layers": 2, "width": 16, "heads": 2, "initializer_range": 0.3} | settings
    config = GPTConfig(
        vocab_size=VOCAB,
        context_length=48,
        attention=ATTENTIONS[attention],
        position=POSITIONS[position],
        pad_token_id=0,
        eos_token_id=1,
        **settings,
    )
    return config.build("causal_lm").eval()


def tokens(*shape):
    return torch.randint(2, VOCAB, shape, generator=torch.Generator().manual_seed(1))


def copied_from_gpt2():
    """The same weights in GPT-2 and in ours, with pairs (their parameter, ours, transposed)."""
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCAB, n_positions=48, n_embd=16, n_layer=2, n_head=2, initializer_range=0.3
        )
    ).eval()
    ours, trunk = gpt(), theirs.transformer
    pairs = [
        (trunk.wte.weight, ours.transformer.embedding.weight, False),
        (trunk.wpe.weight, ours.transformer.position.table.weight, False),
    ]
    norms = [(trunk.ln_f, ours.transformer.norm)]
    for old, new in zip(trunk.h, ours.blocks(), strict=True):
        norms += [(old.ln_1, new.attention_norm), (old.ln_2, new.mlp_norm)]
        for conv, linear in [
            (old.attn.c_attn, new.attention.qkv),
            (old.attn.c_proj, new.attention.out),
            (old.mlp.c_fc, new.mlp.up),
            (old.mlp.c_proj, new.mlp.out),
        ]:
            # GPT-2 keeps its matrices in Conv1D, transposed.
            pairs += [(conv.weight, linear.weight, True), (conv.bias, linear.bias, False)]
    pairs += [p for a, b in norms for p in ((a.weight, b.weight, False), (a.bias, b.bias, False))]
    with torch.no_grad():
        for old, new, transposed in pairs:
            new.copy_(old.T if transposed else old)
    assert len(pairs) == len(list(ours.parameters()))
    return theirs, ours, pairs


@pytest.mark.parametrize("padded", [False, True])
def test_equals_gpt2_in_logits_loss_and_gradients(padded):
    theirs, ours, pairs = copied_from_gpt2()
    ids, mask = tokens(3, 12), torch.ones(3, 12, dtype=torch.long)
    if padded:
        mask[0, 8:], mask[1, 5:] = 0, 0
    labels = ids.masked_fill(mask == 0, -100)
    given = {"input_ids": ids, "labels": labels} | ({"attention_mask": mask} if padded else {})
    a, b = theirs(**given), ours(**given)
    torch.testing.assert_close(b.logits[mask == 1], a.logits[mask == 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(b.loss, a.loss, atol=1e-5, rtol=1e-5)
    a.loss.backward()
    b.loss.backward()
    for old, new, transposed in pairs:
        grad = old.grad.T if transposed else old.grad
        torch.testing.assert_close(new.grad, grad, atol=1e-5, rtol=1e-5)


def test_starts_as_gpt2_does():
    model = gpt(width=128, initializer_range=0.02, layers=8)
    block = model.blocks()[3]
    assert block.attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for out in (block.attention.out, block.mlp.out):
        assert out.weight.std().item() == pytest.approx(0.02 / math.sqrt(16), rel=0.05)
        assert out.bias.abs().max() == 0
    assert model.lm_head.weight is model.transformer.embedding.weight
    loss = model(input_ids=tokens(4, 32), labels=tokens(4, 32)).loss.item()
    assert loss == pytest.approx(math.log(VOCAB), rel=0.1)


def test_models_that_differ_in_position_alone_share_the_other_weights():
    states = [gpt(position=position).state_dict() for position in POSITIONS]
    for state in states[1:]:
        for name in states[-1]:
            assert torch.equal(state[name], states[0][name]), name


@pytest.mark.parametrize(("attention", "position"), EVERY)
def test_no_token_sees_a_later_one(attention, position):
    model = gpt(attention, position)
    embeds = torch.randn(1, 24, 16, requires_grad=True)
    logits = model(inputs_embeds=embeds).logits
    for t in (0, 11, 22):
        (grad,) = torch.autograd.grad(logits[0, t].square().sum(), embeds, retain_graph=True)
        assert torch.count_nonzero(grad[0, t + 1 :]) == 0
        assert torch.count_nonzero(grad[0, t]) > 0


@pytest.mark.parametrize(("attention", "position"), EVERY)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(attention, position, side):
    model = gpt(attention, position)
    ids, pad = tokens(1, 14), torch.zeros(1, 7, dtype=torch.long)
    parts = (pad, ids) if side == "left" else (ids, pad)
    mask = torch.cat([(part > 0).long() for part in parts], dim=1)
    padded = model(torch.cat(parts, dim=1), attention_mask=mask).logits[mask == 1]
    torch.testing.assert_close(padded, model(ids).logits[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("attention", "position"), EVERY)
def test_documents_do_not_see_each_other(attention, position):
    model = gpt(attention, position)
    documents = torch.tensor([[0] * 11 + [1] * 13])
    ids = tokens(1, 24)
    other = ids.clone()
    other[0, :11] = tokens(11).flip(0)
    a, b = (model(x, document_ids=documents).logits for x in (ids, other))
    assert torch.equal(a[0, 11:], b[0, 11:])
    assert not torch.allclose(a[0, :11], b[0, :11])
    leaking = model(other).logits - model(ids).logits
    assert leaking[0, 11:].abs().max() > 1e-3


@pytest.mark.parametrize(("attention", "position"), EVERY)
def test_generation_with_a_cache_equals_generation_without(attention, position):
    model = gpt(attention, position)
    ids, mask = tokens(3, 9), torch.ones(3, 9, dtype=torch.long)
    ids[0, :4], mask[0, :4] = 0, 0
    settings = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False}
    cached = model.generate(ids, attention_mask=mask, use_cache=True, **settings)
    plain = model.generate(ids, attention_mask=mask, use_cache=False, **settings)
    assert torch.equal(cached, plain)
    alone = model.generate(ids[:1, 4:], use_cache=True, **settings)
    assert torch.equal(cached[0, 4:], alone[0])


@pytest.mark.parametrize(("attention", "position"), EVERY)
def test_logits_from_a_cache_equal_logits_of_the_whole(attention, position):
    model, ids = gpt(attention, position), tokens(2, 20)
    whole, cache, parts = model(ids).logits, None, []
    for part in ids.split([9, 1, 1, 5, 4], dim=1):
        output = model(part, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        parts.append(output.logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("attention", "position"), SOME)
def test_a_saved_model_comes_back_whole(attention, position, tmp_path):
    model, ids = gpt(attention, position, activation="swiglu", norm="rmsnorm"), tokens(2, 9)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(again(ids).logits, model(ids).logits)
    assert again.config.attention == ATTENTIONS[attention]
    trunk = AutoModel.from_pretrained(tmp_path)
    expected = model.transformer(ids).last_hidden_state
    assert torch.equal(trunk(ids).last_hidden_state, expected)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "relu2", "silu", "swiglu"])
@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_every_setting_learns(activation, norm_order):
    model = gpt(activation=activation, norm_order=norm_order, bias=False, tied=False).train()
    assert model.lm_head.weight is not model.transformer.embedding.weight
    assert not any(name.endswith("bias") for name, _ in model.named_parameters())
    optimizer, ids = torch.optim.Adam(model.parameters(), lr=0.01), tokens(4, 16)
    losses = []
    for _ in range(12):
        loss = model(ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_swiglu_is_no_larger_than_gelu():
    sizes = [
        sum(p.numel() for p in gpt(width=96, bias=False, activation=name).parameters())
        for name in ("gelu", "swiglu")
    ]
    assert sizes[0] == sizes[1]


def test_lora_trains_adapters_only():
    adapted = get_peft_model(
        gpt(), LoraConfig(target_modules=["qkv", "out", "up"], task_type="CAUSAL_LM")
    )
    ids = tokens(2, 9)
    adapted(input_ids=ids, labels=ids).loss.backward()
    with_grad = [name for name, p in adapted.named_parameters() if p.grad is not None]
    assert with_grad
    assert all("lora_" in name for name in with_grad)


def test_checkpointed_activations_give_the_same_gradients():
    grads = []
    for checkpointed in (False, True):
        model = gpt("window", "alibi").train()
        if checkpointed:
            model.gradient_checkpointing_enable()
        ids = tokens(2, 20)
        documents = (torch.arange(20) // 7).expand(2, -1)
        model(ids, labels=ids, document_ids=documents).loss.backward()
        grads.append([p.grad for p in model.parameters()])
    for plain, checkpointed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_loss_is_in_float32_and_logits_in_the_dtype_of_the_model():
    output = gpt().bfloat16()(tokens(2, 9), labels=tokens(2, 9))
    assert output.logits.dtype == torch.bfloat16
    assert output.loss.dtype == torch.float32


def test_dropout_acts_in_training_only():
    model, ids = gpt(dropout=0.5, attention_dropout=0.5, embedding_dropout=0.5), tokens(1, 9)
    assert torch.equal(model(ids).logits, model(ids).logits)
    model.train()
    assert not torch.equal(model(ids).logits, model(ids).logits)


def test_only_the_last_logits_on_request():
    model, ids = gpt(), tokens(2, 9)
    torch.testing.assert_close(model(ids, logits_to_keep=2).logits, model(ids).logits[:, -2:])


def test_too_long_a_sequence_is_refused_in_words():
    with pytest.raises(InputError, match="49 tokens"):
        gpt()(tokens(1, 49))
    assert gpt(position="rope")(tokens(1, 49)).logits.shape == (1, 49, VOCAB)


def test_wrong_requests_are_refused_in_words():
    with pytest.raises(InputError, match="no masked_lm head"):
        GPTConfig().build("masked_lm")
    with pytest.raises(InputError, match=r"give model\.width=99"):
        GPTConfig(width=100, heads=3)
