"""Our GPT and BERT as GPT-2 and BERT of Transformers, where those compute the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    PreTrainedModel,
)

from loomlab.attention.full import Full
from loomlab.model.bert import BERTForMaskedLM, BERTForSequenceClassification
from loomlab.model.classifier import SequenceClassifier
from loomlab.model.gpt import GPTForCausalLM, GPTForSequenceClassification
from loomlab.model.reshaped import MARKER
from loomlab.position.learned import Learned

ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu", "silu": "silu"}


def standard_layout(model: nn.Module) -> PreTrainedModel | None:
    """The same model in a class of Transformers; None where no class computes the same."""
    makers: dict[type, Any] = {
        GPTForCausalLM: _gpt2,
        GPTForSequenceClassification: _gpt2,
        BERTForMaskedLM: _bert,
        BERTForSequenceClassification: _bert,
    }
    make = makers.get(type(model))
    if make is None or not _usual(model):
        return None
    standard: PreTrainedModel = make(model).eval()
    return standard


def _usual(model: Any) -> bool:
    """Whether the model is of the shape that GPT-2 and BERT have in common."""
    config, trunk = model.config, model.transformer
    order = "pre" if _is_decoder(model) else "post"
    return (
        not getattr(config, MARKER, None)  # layers that compression has put there
        and isinstance(trunk.position, Learned)
        and all(type(block.attention.attention) is Full for block in model.blocks())
        and config.norm == "layernorm"
        and config.norm_order == order
        and config.embedding_norm is (order == "post")
        and config.bias
        and (config.tied or isinstance(model, SequenceClassifier))
        and config.activation in ACTIVATIONS
        and getattr(config, "head_transform", True)
    )


def _is_decoder(model: Any) -> bool:
    return bool(model.config.architecture == "decoder")


def _shared(model: Any) -> dict[str, Any]:
    config = model.config
    labelled = ("id2label", "label2id", "problem_type")
    told = labelled if isinstance(model, SequenceClassifier) else ()
    return {name: getattr(config, name) for name in told} | {
        "vocab_size": config.vocab_size, "pad_token_id": config.pad_token_id,
        "eos_token_id": config.eos_token_id, "bos_token_id": config.bos_token_id,
        "initializer_range": config.initializer_range,
        "layer_norm_epsilon" if _is_decoder(model) else "layer_norm_eps":
            config.norm_epsilon,
    }  # fmt: skip


def _copy(pairs: list[tuple[nn.Module, nn.Module, bool]]) -> None:
    """Weights and biases of (ours, theirs, whether theirs is transposed)."""
    with torch.no_grad():
        for ours, theirs, transposed in pairs:
            weight: Tensor = ours.get_parameter("weight")
            theirs.get_parameter("weight").copy_(weight.T if transposed else weight)
            if hasattr(ours, "bias") and ours.bias is not None:
                theirs.get_parameter("bias").copy_(ours.get_parameter("bias"))


def _gpt2(model: Any) -> Any:
    """GPT-2 keeps its matrices in Conv1D, transposed."""
    config = model.config
    labels = isinstance(model, SequenceClassifier)
    kind: Any = GPT2ForSequenceClassification if labels else GPT2LMHeadModel
    theirs: Any = kind(
        GPT2Config(
            **_shared(model), n_positions=config.context_length, n_embd=config.width,
            n_layer=config.layers, n_head=config.heads,
            n_inner=model.blocks()[0].mlp.out.in_features,
            activation_function=ACTIVATIONS[config.activation], resid_pdrop=config.dropout,
            embd_pdrop=config.embedding_dropout, attn_pdrop=config.attention_dropout,
        )
    )  # fmt: skip
    trunk, own = theirs.transformer, model.transformer
    pairs = [(own.embedding, trunk.wte, False), (own.position.table, trunk.wpe, False)]
    pairs.append((own.norm, trunk.ln_f, False))
    pairs += [(model.score, theirs.score, False)] if labels else []
    for new, old in zip(trunk.h, model.blocks(), strict=True):
        pairs += [(old.attention_norm, new.ln_1, False), (old.mlp_norm, new.ln_2, False)]
        pairs += [(old.attention.qkv, new.attn.c_attn, True)]
        pairs += [(old.attention.out, new.attn.c_proj, True)]
        pairs += [(old.mlp.up, new.mlp.c_fc, True), (old.mlp.out, new.mlp.c_proj, True)]
    _copy(pairs)
    return theirs


def _bert(model: Any) -> Any:
    """BERT has three matrices where ours has one, and tells segments apart: here all are one."""
    config = model.config
    labels = isinstance(model, SequenceClassifier)
    kind: Any = BertForSequenceClassification if labels else BertForMaskedLM
    theirs: Any = kind(
        BertConfig(
            **_shared(model), hidden_size=config.width, num_hidden_layers=config.layers,
            num_attention_heads=config.heads, max_position_embeddings=config.context_length,
            intermediate_size=model.blocks()[0].mlp.out.in_features,
            hidden_act=ACTIVATIONS[config.activation], hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.attention_dropout,
        )
    )  # fmt: skip
    trunk, own = theirs.bert, model.transformer
    pairs = [
        (own.embedding, trunk.embeddings.word_embeddings, False),
        (own.position.table, trunk.embeddings.position_embeddings, False),
        (own.embedding_norm, trunk.embeddings.LayerNorm, False),
    ]
    if labels:
        pairs += [(model.classifier.dense, trunk.pooler.dense, False)]
        pairs += [(model.classifier.out, theirs.classifier, False)]
    else:
        head = theirs.cls.predictions
        pairs += [(model.head.dense, head.transform.dense, False)]
        pairs += [(model.head.norm, head.transform.LayerNorm, False)]
        with torch.no_grad():
            head.decoder.bias.copy_(model.head.decoder.bias)
    for new, old in zip(trunk.encoder.layer, model.blocks(), strict=True):
        pairs += [
            (old.attention.out, new.attention.output.dense, False),
            (old.attention_norm, new.attention.output.LayerNorm, False),
            (old.mlp.up, new.intermediate.dense, False),
            (old.mlp.out, new.output.dense, False),
            (old.mlp_norm, new.output.LayerNorm, False),
        ]
        _split(old.attention.qkv, new.attention.self)
    _copy(pairs)
    with torch.no_grad():
        trunk.embeddings.token_type_embeddings.weight.zero_()
    return theirs


@torch.no_grad()
def _split(qkv: nn.Linear, into: Any) -> None:
    """Hand out the rows of our joined projection."""
    layers = (into.query, into.key, into.value)
    for layer, weight, bias in zip(layers, qkv.weight.chunk(3), qkv.bias.chunk(3), strict=True):
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
