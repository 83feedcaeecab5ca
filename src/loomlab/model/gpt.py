"""GPT: a decoder that predicts the next token.

Shapes: B batch, T tokens, D width, V vocabulary, C labels.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    Cache,
    GenerationMixin,
)
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import can_return_tuple

from loomlab.errors import InputError
from loomlab.model.classifier import SequenceClassifier, last_kept
from loomlab.model.config import TransformerConfig
from loomlab.model.tagger import TokenClassifier
from loomlab.model.transformer import Transformer, TransformerModel, loss_options, recorded


class GPTConfig(TransformerConfig):
    """Pre-norm decoder Transformer, GPT-2 style."""

    model_type = "loom_gpt"
    architecture = "decoder"
    keys_to_ignore_at_inference = ["past_key_values"]

    def __init__(self, *, use_cache: bool = True, **kwargs: Any) -> None:
        self.use_cache = use_cache
        super().__init__(**self.own_names(kwargs))

    def build(self, head: str) -> nn.Module:
        """The model with the head an objective asks for.

        Raises:
            InputError: a decoder has no such `head`.
        """
        kinds = {
            "causal_lm": GPTForCausalLM,
            "sequence_classification": GPTForSequenceClassification,
            "token_classification": GPTForTokenClassification,
        }
        if head not in kinds:
            raise InputError(
                f"model=gpt is a decoder and has no {head} head: choose objective=clm, "
                "or an encoder such as model=bert."
            )
        return kinds[head](self)


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

    @staticmethod
    def create_masks_for_generate(attention_mask: Tensor | None = None, **_: Any) -> Tensor | None:
        """The padding mask as it is: each pass makes its own of it, by attention and position."""
        return attention_mask

    def _valid_auto_compile_criteria(self, *_: Any, **__: Any) -> bool:
        """Not compiled by itself over a static cache: each pass sees one key more."""
        return False

    def hidden_states(self, **inputs: Any) -> Tensor:
        """The hidden states (B, T, D) that the head turns into logits."""
        output = self.transformer(**inputs, use_cache=False, return_dict=True)
        return cast(Tensor, output.last_hidden_state)

    def logits_head(self) -> nn.Linear:
        """The layer from hidden states to logits."""
        return self.lm_head

    @can_return_tuple
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
            num_items_in_batch, shift_labels: as Transformers' Trainer passes them: the loss is the
                sum over the labels divided by that number; labels that are shifted already.
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
            **recorded(kwargs),
        )
        logits_BTV = self.lm_head(output.last_hidden_state[:, -logits_to_keep:])
        loss, told = None, loss_options(kwargs)
        if labels is not None or "shift_labels" in told:
            loss = self.loss_function(
                logits_BTV, labels, vocab_size=self.config.vocab_size, **told
            )
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits_BTV,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class GPTForSequenceClassification(SequenceClassifier):
    """GPT that says which label a text has, from its last token: only that has seen them all."""

    config_class = GPTConfig

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config)
        self.transformer = GPTModel(config)
        self.score = nn.Linear(config.width, len(config.id2label or {}), bias=False)
        self.post_init()

    def label_logits(
        self, hidden_BTD: Tensor, input_ids: Tensor, attention_mask: Tensor | None
    ) -> Tensor:
        """The logits (B, C) of the last token that `attention_mask` keeps."""
        last_B = last_kept(input_ids, attention_mask)
        rows_B = torch.arange(len(last_B), device=last_B.device)
        return self.score(hidden_BTD[rows_B, last_B])


class GPTForTokenClassification(TokenClassifier):
    """GPT that says which label each token has, from what it and those before it are."""

    config_class = GPTConfig

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config)
        self.transformer = GPTModel(config)
        self.make_head()
        self.post_init()


AutoConfig.register(GPTConfig.model_type, GPTConfig)
AutoModel.register(GPTConfig, GPTModel)
AutoModelForCausalLM.register(GPTConfig, GPTForCausalLM)
AutoModelForSequenceClassification.register(GPTConfig, GPTForSequenceClassification)
AutoModelForTokenClassification.register(GPTConfig, GPTForTokenClassification)
