"""Our models as those of Transformers that add a vector of each position: GPT-2 and BERT."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
)

from loomlab.format.copied_weights import (
    ACTIVATIONS,
    copy_layers,
    hand_out,
    is_classifier,
    shared_settings,
)
from loomlab.position.learned import Learned


def gpt2(model: Any) -> Any:
    """GPT-2 keeps its matrices in Conv1D, transposed."""
    config, labels = model.config, is_classifier(model)
    kind: Any = GPT2ForSequenceClassification if labels else GPT2LMHeadModel
    theirs: Any = kind(
        GPT2Config(
            **shared_settings(model), n_positions=config.context_length, n_embd=config.width,
            layer_norm_epsilon=config.norm_epsilon, n_layer=config.layers,
            n_head=config.heads, n_inner=model.blocks()[0].mlp.out.in_features,
            activation_function=ACTIVATIONS[config.activation], resid_pdrop=config.dropout,
            embd_pdrop=config.embedding_dropout, attn_pdrop=config.attention_dropout,
        )
    )  # fmt: skip
    trunk, own = theirs.transformer, model.transformer
    pairs = [(own.embedding, trunk.wte, False), (own.norm, trunk.ln_f, False)]
    pairs.append(
        (model.score, theirs.score, False) if labels else (model.lm_head, theirs.lm_head, False)
    )
    _copy_positions(own.position, trunk.wpe)
    for new, old in zip(trunk.h, model.blocks(), strict=True):
        pairs += [(old.attention_norm, new.ln_1, False), (old.mlp_norm, new.ln_2, False)]
        pairs += [(old.attention.qkv, new.attn.c_attn, True)]
        pairs += [(old.attention.out, new.attn.c_proj, True)]
        pairs += [(old.mlp.up, new.mlp.c_fc, True), (old.mlp.out, new.mlp.c_proj, True)]
    copy_layers(pairs)
    return theirs


def bert(model: Any) -> Any:
    """BERT has three matrices where ours has one, and tells segments apart: here all are one."""
    config, labels = model.config, is_classifier(model)
    kind: Any = BertForSequenceClassification if labels else BertForMaskedLM
    theirs: Any = kind(
        BertConfig(
            **shared_settings(model), hidden_size=config.width, num_hidden_layers=config.layers,
            num_attention_heads=config.heads, max_position_embeddings=config.context_length,
            intermediate_size=model.blocks()[0].mlp.out.in_features,
            hidden_act=ACTIVATIONS[config.activation], hidden_dropout_prob=config.dropout,
            layer_norm_eps=config.norm_epsilon,
            attention_probs_dropout_prob=config.attention_dropout,
        )
    )  # fmt: skip
    trunk, own = theirs.bert, model.transformer
    pairs = [
        (own.embedding, trunk.embeddings.word_embeddings, False),
        (own.embedding_norm, trunk.embeddings.LayerNorm, False),
    ]
    if labels:
        pairs += [(model.classifier.dense, trunk.pooler.dense, False)]
        pairs += [(model.classifier.out, theirs.classifier, False)]
    else:
        head = theirs.cls.predictions
        pairs += [(model.head.dense, head.transform.dense, False)]
        pairs += [(model.head.norm, head.transform.LayerNorm, False)]
        pairs += [(model.head.decoder, head.decoder, False)]
    for new, old in zip(trunk.encoder.layer, model.blocks(), strict=True):
        pairs += [
            (old.attention.out, new.attention.output.dense, False),
            (old.attention_norm, new.attention.output.LayerNorm, False),
            (old.mlp.up, new.intermediate.dense, False),
            (old.mlp.out, new.output.dense, False),
            (old.mlp_norm, new.output.LayerNorm, False),
        ]
        inner = new.attention.self
        hand_out(old.attention.qkv, [inner.query, inner.key, inner.value])
    copy_layers(pairs)
    _copy_positions(own.position, trunk.embeddings.position_embeddings)
    with torch.no_grad():
        trunk.embeddings.token_type_embeddings.weight.zero_()
    return theirs


@torch.no_grad()
def _copy_positions(ours: nn.Module, theirs: nn.Module) -> None:
    """The table of positions; zeros where ours tells none."""
    table = ours.table.weight if isinstance(ours, Learned) else torch.zeros(())
    theirs.get_parameter("weight").copy_(table)
