"""The Transformer trunk that decoders and encoders share.

Shapes: B batch, T tokens, S keys (T and what a cache holds), D width.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.utils import can_return_tuple

from loomlab.attention.layout import Layout
from loomlab.component import build_component
from loomlab.model.block import Block, make_norm
from loomlab.model.config import TransformerConfig
from loomlab.position.base import Position

LEARNED = {"_target_": "loomlab.position.learned.Learned"}


LOSS_OPTIONS = ("num_items_in_batch", "shift_labels")
RECORDED = ("output_hidden_states", "output_attentions")


def loss_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What Transformers' Trainer tells a model about its loss, out of all that it was given.

    A model that takes any keyword is believed to divide its loss by the labels of all
    micro-batches and ranks, `num_items_in_batch`.
    """
    return {name: given[name] for name in LOSS_OPTIONS if given.get(name) is not None}


def recorded(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a head asks its trunk to give back beside its last hidden states, out of all given."""
    return {name: given[name] for name in RECORDED if name in given} | {"return_dict": True}


class TransformerModel(PreTrainedModel):
    """What trunks and models with a head have in common: names, initialization, blocks."""

    config: TransformerConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]
    _supports_sdpa = True  # what runs unless attn_implementation="eager" asks for plain products
    _input_embed_layer = "embedding"

    def blocks(self) -> list[nn.Module]:
        """The blocks in order."""
        return list(self.base_model.get_submodule("layers").children())

    def longest_sequence(self) -> int | None:
        """Tokens the positions can tell; None if they go on without end."""
        position = cast(Position, self.base_model.get_submodule("position"))
        return None if position.extrapolates else position.context_length

    def _init_weights(self, module: nn.Module) -> None:
        """Normal weights, zero biases; projections onto a pre-norm residual path are scaled down.

        A pre-norm path adds up 2 * layers branches (Radford et al. 2019, section 2.3); a
        post-norm path is normalized after each, so BERT needs no such scale.
        """
        super()._init_weights(module)
        # Transformers calls this, outside its own package, only on modules that have parameters of
        # their own: so the projection is recognized by a mark, not by the module that holds it.
        ends_branch = isinstance(module, nn.Linear) and hasattr(module, "ends_branch")
        if ends_branch and self.config.norm_order == "pre":
            std = self.config.initializer_range / math.sqrt(2 * self.config.layers)
            initialization.normal_(module.get_parameter("weight"), mean=0.0, std=std)


class Transformer(TransformerModel):
    """Embeddings, blocks and final norm: token ids in, hidden states out."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.causal = config.architecture == "decoder"
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.embedding_norm = make_norm(config) if config.embedding_norm else nn.Identity()
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        # After post-norm blocks the hidden states are normalized already.
        self.norm = make_norm(config) if config.norm_order == "pre" else nn.Identity()
        # Last, so that its random numbers are drawn after those of the blocks: models that differ
        # in position alone start from the same other weights.
        self.position = build_component(
            config.position or LEARNED,
            Position,
            width=config.width,
            heads=config.heads,
            context_length=config.context_length,
        )
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """The hidden states (B, T, D) of the tokens.

        Args:
            input_ids: (B, T); or give `inputs_embeds`, (B, T, D).
            attention_mask: (B, S), zero at padding.
            position_ids: (B, T); by default counted from the first token that is not padding.
            document_ids: (B, S); tokens attend only to tokens of the same id.
            past_key_values: keys and values of earlier tokens, extended in place.
            use_cache: give back the keys and values of all tokens (decoders); by default as the
                config says, and not while training.
            output_hidden_states: give back what each block is given, and the last hidden states.
            output_attentions: give back the weights of each attention, (B, H, T, S), which then
                is computed by plain products; by default as the config says, as the one before.
        """
        config = self.config
        if output_hidden_states is None:
            output_hidden_states = config.output_hidden_states
        if output_attentions is None:
            output_attentions = config.output_attentions
        x_BTD = self.embedding(input_ids) if inputs_embeds is None else inputs_embeds
        if use_cache is None:
            use_cache = not self.training and getattr(config, "use_cache", False)
        if use_cache and past_key_values is None and self.causal:
            past_key_values = DynamicCache(config=config)
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        past = int(past) if isinstance(past, Tensor) else past  # a static cache counts in a tensor
        length = past + x_BTD.shape[1]
        self.position.check_length(length)

        place_1S = torch.arange(length, device=x_BTD.device)[None]
        if position_ids is None:
            position_ids = place_1S[:, past:]
            if attention_mask is not None:
                position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, past:]
        layout = Layout(
            causal=self.causal,
            query_position_BT=place_1S[:, past:],
            key_position_BS=place_1S,
            keep_BS=None if attention_mask is None else attention_mask.bool(),
            document_query_BT=None if document_ids is None else document_ids[:, past:],
            document_key_BS=document_ids,
            bias=self.position.bias if self.position.has_bias else None,
            dropout=config.attention_dropout if self.training else 0.0,
            explicit=bool(output_attentions) or config._attn_implementation == "eager",
            weights=[] if output_attentions else None,
        )
        x_BTD = self.embedding_norm(self.position.embed(x_BTD, position_ids))
        x_BTD = self.embedding_dropout(x_BTD)
        given: list[Tensor] = []
        for block in self.layers:
            if output_hidden_states:
                given.append(x_BTD)
            x_BTD = block(
                x_BTD, layout, self.position, position_ids, past_key_values=past_key_values
            )
        x_BTD = self.norm(x_BTD)
        return BaseModelOutputWithPast(
            last_hidden_state=x_BTD,
            past_key_values=past_key_values if use_cache else None,
            hidden_states=(*given, x_BTD) if output_hidden_states else None,
            attentions=None if layout.weights is None else tuple(layout.weights),
        )
