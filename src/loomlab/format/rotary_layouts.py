"""Our decoders with rotary positions as GPT-NeoX, Llama or Mistral of Transformers."""

# Shapes: H heads, K head width, D width.

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GPTNeoXForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForCausalLM,
    MistralForSequenceClassification,
)

from loomlab.format.copied_weights import (
    ACTIVATIONS,
    copy_bias,
    copy_layers,
    hand_out,
    is_classifier,
    shared_settings,
)


def _settings(model: Any) -> dict[str, Any]:
    """What the three of them call by the same name."""
    config = model.config
    return shared_settings(model) | {
        "hidden_size": config.width, "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads, "max_position_embeddings": config.context_length,
        "intermediate_size": model.blocks()[0].mlp.out.in_features,
        "attention_dropout": config.attention_dropout,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": model.transformer.position.base,
            "partial_rotary_factor": 1.0,
        },
    }  # fmt: skip


def _head(model: Any, theirs: Any) -> tuple[nn.Module, nn.Module, bool]:
    if is_classifier(model):
        return model.score, theirs.score, False
    return model.lm_head, theirs.lm_head, False


def gpt_neox(model: Any) -> Any:
    """GPT-NeoX keeps query, key and value of each head together."""
    config = model.config
    kind: Any = GPTNeoXForSequenceClassification if is_classifier(model) else GPTNeoXForCausalLM
    theirs: Any = kind(
        GPTNeoXConfig(
            **_settings(model), use_parallel_residual=False, attention_bias=config.bias,
            hidden_act=ACTIVATIONS[config.activation], hidden_dropout=config.dropout,
            layer_norm_eps=config.norm_epsilon,
        )
    )  # fmt: skip
    trunk, own = theirs.gpt_neox, model.transformer
    pairs = [(own.embedding, trunk.embed_in, False), (own.norm, trunk.final_layer_norm, False)]
    pairs.append(_head(model, theirs))
    for new, old in zip(trunk.layers, model.blocks(), strict=True):
        pairs += [
            (old.attention_norm, new.input_layernorm, False),
            (old.mlp_norm, new.post_attention_layernorm, False),
            (old.attention.out, new.attention.dense, False),
            (old.mlp.up, new.mlp.dense_h_to_4h, False),
            (old.mlp.out, new.mlp.dense_4h_to_h, False),
        ]
        _by_head(old.attention.qkv, new.attention.query_key_value, config.heads)
    copy_layers(pairs)
    return theirs


@torch.no_grad()
def _by_head(ours: Any, theirs: nn.Module, heads: int) -> None:
    """Rows ordered by (3, H, K) into rows ordered by (H, 3, K)."""

    def turned(rows: torch.Tensor) -> torch.Tensor:
        return rows.unflatten(0, (3, heads, -1)).transpose(0, 1).flatten(0, 2)

    theirs.get_parameter("weight").copy_(turned(ours.weight))
    copy_bias(None if ours.bias is None else turned(ours.bias), theirs)


def llama(model: Any) -> Any:
    """Llama has three matrices where attention has one, and two where the MLP has one."""
    config = model.config
    kind: Any = LlamaForSequenceClassification if is_classifier(model) else LlamaForCausalLM
    biases = {"attention_bias": config.bias, "mlp_bias": config.bias}
    settings = LlamaConfig(**_settings(model), **biases, rms_norm_eps=config.norm_epsilon)
    return _of_llama(model, kind(settings))


def mistral(model: Any) -> Any:
    """Mistral is Llama with a sliding window and no biases."""
    config = model.config
    kind: Any = MistralForSequenceClassification if is_classifier(model) else MistralForCausalLM
    settings = MistralConfig(
        **_settings(model), num_key_value_heads=config.heads, rms_norm_eps=config.norm_epsilon,
        sliding_window=model.blocks()[0].attention.attention.window,
    )  # fmt: skip
    return _of_llama(model, kind(settings))


def _of_llama(model: Any, theirs: Any) -> Any:
    trunk, own = theirs.model, model.transformer
    pairs = [(own.embedding, trunk.embed_tokens, False), (own.norm, trunk.norm, False)]
    pairs.append(_head(model, theirs))
    for new, old in zip(trunk.layers, model.blocks(), strict=True):
        pairs += [
            (old.attention_norm, new.input_layernorm, False),
            (old.mlp_norm, new.post_attention_layernorm, False),
            (old.attention.out, new.self_attn.o_proj, False),
            (old.mlp.out, new.mlp.down_proj, False),
        ]
        attention = new.self_attn
        hand_out(old.attention.qkv, [attention.q_proj, attention.k_proj, attention.v_proj])
        hand_out(old.mlp.up, [new.mlp.gate_proj, new.mlp.up_proj])
    copy_layers(pairs)
    return theirs
