"""The config of Transformers for a model of ours, by the kind of model that computes the same."""

from __future__ import annotations

from typing import Any

from transformers import BertConfig, GPT2Config, GPTNeoXConfig, LlamaConfig, MistralConfig

from loomlab.model.standard_settings import THEIR_ACTIVATION


def _shared(model: Any) -> dict[str, Any]:
    """What every config of Transformers calls by the same name."""
    config, labels = model.config, not hasattr(model, "logits_head")
    told = ("id2label", "label2id", "problem_type") if labels else ()
    tied = {} if labels else {"tie_word_embeddings": config.tied}
    return {name: getattr(config, name) for name in told} | tied | {
        "vocab_size": config.vocab_size, "pad_token_id": config.pad_token_id,
        "eos_token_id": config.eos_token_id, "bos_token_id": config.bos_token_id,
        "initializer_range": config.initializer_range,
    }  # fmt: skip


def _sizes(model: Any) -> dict[str, Any]:
    """What all but GPT-2 call by the same name."""
    config = model.config
    return _shared(model) | {
        "hidden_size": config.width, "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads, "max_position_embeddings": config.context_length,
        "intermediate_size": model.blocks()[0].mlp.out.in_features,
    }  # fmt: skip


def _rotary(model: Any) -> dict[str, Any]:
    """The same, and how positions are told."""
    return _sizes(model) | {
        "attention_dropout": model.config.attention_dropout,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": model.transformer.position.base,
            "partial_rotary_factor": 1.0,
        },
    }  # fmt: skip


def gpt2(model: Any) -> GPT2Config:
    """GPT-2's, whose classifiers of tokens drop out as ours do."""
    config = model.config
    shared = _shared(model) | {"classifier_dropout": config.dropout}
    return GPT2Config(
        **shared, n_positions=config.context_length, n_embd=config.width,
        layer_norm_epsilon=config.norm_epsilon, n_layer=config.layers, n_head=config.heads,
        n_inner=model.blocks()[0].mlp.out.in_features,
        activation_function=THEIR_ACTIVATION[config.activation], resid_pdrop=config.dropout,
        embd_pdrop=config.embedding_dropout, attn_pdrop=config.attention_dropout,
    )  # fmt: skip


def bert(model: Any) -> BertConfig:
    """BERT's."""
    config = model.config
    return BertConfig(
        **_sizes(model), hidden_act=THEIR_ACTIVATION[config.activation],
        hidden_dropout_prob=config.dropout, layer_norm_eps=config.norm_epsilon,
        attention_probs_dropout_prob=config.attention_dropout,
    )  # fmt: skip


def gpt_neox(model: Any) -> GPTNeoXConfig:
    """GPT-NeoX's, with one branch after the other."""
    config = model.config
    return GPTNeoXConfig(
        **_rotary(model), use_parallel_residual=False, attention_bias=config.bias,
        hidden_act=THEIR_ACTIVATION[config.activation], hidden_dropout=config.dropout,
        layer_norm_eps=config.norm_epsilon, classifier_dropout=config.dropout,
    )  # fmt: skip


def llama(model: Any) -> LlamaConfig:
    """Llama's."""
    config = model.config
    biases = {"attention_bias": config.bias, "mlp_bias": config.bias}
    return LlamaConfig(**_rotary(model), **biases, rms_norm_eps=config.norm_epsilon)


def mistral(model: Any) -> MistralConfig:
    """Mistral's, whose attention has a window."""
    config = model.config
    return MistralConfig(
        **_rotary(model), num_key_value_heads=config.heads, rms_norm_eps=config.norm_epsilon,
        sliding_window=model.blocks()[0].attention.attention.window,
    )  # fmt: skip
