"""BERT against BertForMaskedLM of Transformers, and what an encoder must hold."""

import itertools
import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModel, AutoModelForMaskedLM, BertConfig, BertForMaskedLM

from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig

ATTENTIONS = {
    "full": None,
    "window": {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 8},
}
POSITIONS = {
    "learned": None,
    "sinusoidal": {"_target_": "loomlab.position.sinusoidal.Sinusoidal"},
    "rope": {"_target_": "loomlab.position.rope.RoPE"},
    "alibi": {"_target_": "loomlab.position.alibi.ALiBi"},
    "none": {"_target_": "loomlab.position.none.NoPosition"},
}
EVERY = list(itertools.product(ATTENTIONS, POSITIONS))
VOCAB = 40


def bert(attention="full", position="learned", **settings):
    torch.manual_seed(0)
    settings = {"layers": 2, "width": 16, "heads": 2, "initializer_range": 0.3} | settings
    config = BERTConfig(
        vocab_size=VOCAB,
        context_length=48,
        attention=ATTENTIONS[attention],
        position=POSITIONS[position],
        pad_token_id=0,
        mask_token_id=3,
        **settings,
    )
    return config.build("masked_lm").eval()


def tokens(*shape):
    return torch.randint(4, VOCAB, shape, generator=torch.Generator().manual_seed(1))


def copied_from_bert():
    """Equal weights in both, and a function of a gradient or weight name of theirs and ours."""
    torch.manual_seed(0)
    theirs = BertForMaskedLM(
        BertConfig(
            vocab_size=VOCAB,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=48,
            pad_token_id=None,
            initializer_range=0.3,
        )
    ).eval()
    ours, trunk, head = bert(), theirs.bert, theirs.cls.predictions
    embeddings = trunk.embeddings
    modules = [
        (embeddings.LayerNorm, ours.transformer.embedding_norm),
        (head.transform.dense, ours.head.dense),
        (head.transform.LayerNorm, ours.head.norm),
    ]
    joined = []
    for old, new in zip(trunk.encoder.layer, ours.blocks(), strict=True):
        parts = old.attention.self
        joined.append(((parts.query, parts.key, parts.value), new.attention.qkv))
        modules += [
            (old.attention.output.dense, new.attention.out),
            (old.attention.output.LayerNorm, new.attention_norm),
            (old.intermediate.dense, new.mlp.up),
            (old.output.dense, new.mlp.out),
            (old.output.LayerNorm, new.mlp_norm),
        ]
    pairs = [
        ((embeddings.word_embeddings.weight,), ours.transformer.embedding.weight),
        ((head.decoder.bias,), ours.head.decoder.bias),
        ((embeddings.position_embeddings.weight,), ours.transformer.position.table.weight),
    ]
    for old, new in [*(((old,), new) for old, new in modules), *joined]:
        pairs.append((tuple(part.weight for part in old), new.weight))
        pairs.append((tuple(part.bias for part in old), new.bias))
    with torch.no_grad():
        # One segment only: its constant vector moves into the positions.
        embeddings.position_embeddings.weight += embeddings.token_type_embeddings.weight[0]
        embeddings.token_type_embeddings.weight.zero_()
        for old, new in pairs:
            new.copy_(torch.cat(old))
    assert len(pairs) == len(list(ours.parameters()))
    return theirs, ours, pairs


@pytest.mark.parametrize("padded", [False, True])
def test_equals_bert_in_logits_loss_and_gradients(padded):
    theirs, ours, pairs = copied_from_bert()
    ids, mask = tokens(3, 12), torch.ones(3, 12, dtype=torch.long)
    if padded:
        mask[0, 8:], mask[1, 5:] = 0, 0
    labels = ids.masked_fill((mask == 0) | (torch.arange(12) % 3 > 0), -100)
    given = {"input_ids": ids, "labels": labels, "attention_mask": mask}
    a, b = theirs(**given), ours(**given)
    torch.testing.assert_close(b.logits[mask == 1], a.logits[mask == 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(b.loss, a.loss, atol=1e-5, rtol=1e-5)
    a.loss.backward()
    b.loss.backward()
    for old, new in pairs:
        expected = torch.cat([part.grad for part in old])
        torch.testing.assert_close(new.grad, expected, atol=1e-5, rtol=1e-5)


def test_starts_as_bert_does():
    model = bert(width=128, initializer_range=0.02)
    for linear in (model.blocks()[1].attention.out, model.blocks()[1].mlp.out, model.head.dense):
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.head.decoder.weight is model.transformer.embedding.weight
    loss = model(tokens(4, 32), labels=tokens(4, 32)).loss.item()
    assert loss == pytest.approx(math.log(VOCAB), rel=0.1)


@pytest.mark.parametrize("transform", [True, False])
def test_logits_at_masked_places_are_rows_of_all_logits(transform):
    model, ids = bert(head_transform=transform), tokens(2, 12)
    index = torch.tensor([0, 5, 11, 12, 23])
    labels = torch.full((2, 12), -100)
    labels.view(-1)[index] = ids.view(-1)[index]
    some = model(ids, masked_index=index, labels=labels)
    every = model(ids, labels=labels)
    assert some.logits.shape == (5, VOCAB)
    torch.testing.assert_close(some.logits, every.logits.flatten(0, 1)[index])
    torch.testing.assert_close(some.loss, every.loss)


def test_the_head_runs_at_masked_places_only():
    model, rows = bert(), []
    model.head.register_forward_hook(lambda module, args, out: rows.append(args[0].shape[0]))
    model(tokens(2, 12), masked_index=torch.tensor([1, 2, 7]))
    assert rows == [3]


@pytest.mark.parametrize(("attention", "position"), EVERY)
def test_tokens_see_both_sides(attention, position):
    model = bert(attention, position)
    embeds = torch.randn(1, 24, 16, requires_grad=True)
    logits = model(inputs_embeds=embeds).logits
    (grad,) = torch.autograd.grad(logits[0, 12].square().sum(), embeds)
    seen = grad[0].abs().sum(-1) > 0
    # Two layers of a window of 4 to each side reach 8 places.
    low, high = (0, 24) if attention == "full" else (4, 21)
    assert seen[low:high].all()
    assert not seen[:low].any()
    assert not seen[high:].any()


@pytest.mark.parametrize(("attention", "position"), EVERY)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(attention, position, side):
    model = bert(attention, position)
    ids, pad = tokens(1, 14), torch.zeros(1, 7, dtype=torch.long)
    parts = (pad, ids) if side == "left" else (ids, pad)
    mask = torch.cat([(part > 0).long() for part in parts], dim=1)
    padded = model(torch.cat(parts, dim=1), attention_mask=mask).logits[mask == 1]
    torch.testing.assert_close(padded, model(ids).logits[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("attention", "position"), EVERY)
def test_documents_do_not_see_each_other(attention, position):
    model = bert(attention, position)
    documents = torch.tensor([[0] * 11 + [1] * 13])
    ids = tokens(1, 24)
    other = ids.clone()
    other[0, :11] = tokens(11).flip(0)
    a, b = (model(x, document_ids=documents).logits for x in (ids, other))
    assert torch.equal(a[0, 11:], b[0, 11:])
    assert not torch.allclose(a[0, :11], b[0, :11])


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_saved_model_comes_back_whole(attention, tmp_path):
    model, ids = bert(attention, norm_order="pre", activation="swiglu"), tokens(2, 9)
    model.save_pretrained(tmp_path)
    again = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert torch.equal(again(ids).logits, model(ids).logits)
    assert again.config.mask_token_id == 3
    trunk = AutoModel.from_pretrained(tmp_path)
    expected = model.transformer(ids).last_hidden_state
    assert torch.equal(trunk(ids).last_hidden_state, expected)


def test_lora_trains_adapters_only():
    adapted = get_peft_model(bert(), LoraConfig(target_modules=["qkv", "out", "up"]))
    ids = tokens(2, 9)
    adapted(input_ids=ids, labels=ids).loss.backward()
    with_grad = [name for name, p in adapted.named_parameters() if p.grad is not None]
    assert with_grad
    assert all("lora_" in name for name in with_grad)


def test_wrong_requests_are_refused_in_words():
    with pytest.raises(InputError, match="no causal_lm head"):
        BERTConfig().build("causal_lm")
