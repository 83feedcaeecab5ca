"""GPT: a decoder that predicts the next token.

Shapes: B batch, T tokens, D width, V vocabulary.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, Cache, GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast

from loomlab.errors import InputError
from loomlab.model.config import TransformerConfig
from loomlab.model.transformer import Transformer, TransformerModel


class GPTConfig(TransformerConfig):
    """Pre-norm decoder Transformer, GPT-2 style."""

    model_type = "loom_gpt"
    architecture = "decoder"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build(self, head: str) -> nn.Module:
        """The model with the head an objective asks for.

        Raises:
            InputError: `head` is not "causal_lm".
        """
        if head != "causal_lm":
            raise InputError(
                f"model=gpt is a decoder and has no {head} head: choose objective=clm, "
                "or an encoder such as model=bert."
            )
        return GPTForCausalLM(self)


class GPTModel(Transformer):
    """The trunk of GPT, without a head."""

    config_class = GPTConfig


class GPTForCausalLM(TransformerModel, GenerationMixin):
    """GPT with the head that predicts the next token."""

    config_class = GPTConfig
    _tied_weights_keys = {"lm_head.weight": "transformer.embedding.weight"}

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config)
        self.transformer = GPTModel(config)
        self.lm_head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """The logits (B, T, V) of the next tokens, and their loss if `labels` are given.

        Args:
            labels: (B, T), the input ids themselves (shifted here); -100 is ignored.
            logits_to_keep: compute the logits of only so many last tokens; 0 for all.
        The other arguments are those of `Transformer.forward`.
        """
        output = self.transformer(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            document_ids=document_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            inputs_embeds=inputs_embeds,
        )
        logits_BTV = self.lm_head(output.last_hidden_state[:, -logits_to_keep:])
        loss = None if labels is None else next_token_loss(logits_BTV, labels)
        return CausalLMOutputWithPast(
            loss=loss, logits=logits_BTV, past_key_values=output.past_key_values
        )


def next_token_loss(logits_BTV: Tensor, labels_BT: Tensor) -> Tensor:
    """The mean loss of predicting each next label, in float32; -100 is ignored."""
    # Shifting the labels instead of the logits saves a copy of the largest tensor.
    targets_BT = F.pad(labels_BT[:, 1:], (0, 1), value=-100)
    return F.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten())


AutoConfig.register(GPTConfig.model_type, GPTConfig)
AutoModel.register(GPTConfig, GPTModel)
AutoModelForCausalLM.register(GPTConfig, GPTForCausalLM)
