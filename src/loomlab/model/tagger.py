"""What classifiers of tokens share: dropout, a linear layer to labels, and the loss.

Shapes: B batch, T tokens, D width, C labels.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers.modeling_outputs import TokenClassifierOutput
from transformers.utils import can_return_tuple

from loomlab.model.classifier import classified
from loomlab.model.transformer import TransformerModel, recorded


class TokenClassifier(TransformerModel):
    """A trunk and a head that says which label each token has (Devlin et al. 2019, section 4)."""

    transformer: nn.Module

    def make_head(self) -> None:
        """The layers from hidden states to logits; to be called before `post_init`."""
        config: Any = self.config
        self.dropout = nn.Dropout(config.dropout)
        self.score = nn.Linear(config.width, len(config.id2label or {}), bias=config.bias)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        """The logits (B, T, C) of the labels, and their loss if `labels` are given.

        Args:
            input_ids: (B, T), padded where `attention_mask` (B, T) is zero.
            labels: (B, T) numbers; -100 is ignored.
            num_items_in_batch: labels of all micro-batches of the step, by which their sum is
                divided, as Transformers' Trainer wants it; without it the loss is their mean.
        """
        output = self.transformer(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=False,
            **recorded(kwargs),
        )
        logits_BTC = self.score(self.dropout(output.last_hidden_state))
        flat = None if labels is None else labels.flatten()  # of which -100 is ignored
        count = kwargs.get("num_items_in_batch")
        return TokenClassifierOutput(
            loss=classified(logits_BTC.flatten(0, 1), flat, count).loss,
            logits=logits_BTC,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
