"""What classifiers share: from token ids to labels, the token they read, and the loss.

Shapes: B batch, T tokens, D width, C labels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

from loomlab.model.own_unit import REGRESSION, in_own_unit
from loomlab.model.transformer import TransformerModel, recorded


class SequenceClassifier(TransformerModel):
    """A trunk and a head that says which label a text has."""

    transformer: nn.Module
    says_own_unit = True  # numbers, in the unit of their labels

    def label_logits(
        self, hidden_BTD: Tensor, input_ids: Tensor, attention_mask: Tensor | None
    ) -> Tensor:
        """The logits (B, C) of the labels from the hidden states of the trunk."""
        raise TypeError(f"{type(self).__name__} does not say what it makes of hidden states")

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """The logits (B, C) of the labels, and their loss if `labels` are given.

        Args:
            input_ids: (B, T), padded where `attention_mask` (B, T) is zero.
            labels: (B,), or (B, C) where a text may have several. With
                config.problem_type="regression" they are numbers, and logits are these.
        """
        output = self.transformer(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=False,
            **recorded(kwargs),
        )
        logits_BC = self.label_logits(output.last_hidden_state, input_ids, attention_mask)
        logits_BC, count = in_own_unit(logits_BC, self.config), kwargs.get("num_items_in_batch")
        answer = (near if self.config.problem_type == REGRESSION else classified)(
            logits_BC, labels, count
        )
        answer.hidden_states, answer.attentions = output.hidden_states, output.attentions
        return answer


def last_kept(input_ids_BT: Tensor, attention_mask_BT: Tensor | None) -> Tensor:
    """The place of each row's last token that is not padding, (B,); the last of all unmasked."""
    batch, length = input_ids_BT.shape
    if attention_mask_BT is None:
        return torch.full((batch,), length - 1, device=input_ids_BT.device)
    place_T = torch.arange(length, device=input_ids_BT.device)
    return (attention_mask_BT.long() * place_T).argmax(-1)


def classified(
    logits_BC: Tensor, labels: Tensor | None, count: Tensor | int | None = None
) -> SequenceClassifierOutput:
    """The output of a classifier, with the mean loss if there are labels, in float32.

    labels: (B,) numbers, or (B, C) zeros and ones where a text may have several. count: labels
    of all micro-batches of the step, by which their sum is divided instead.
    """
    loss, reduction = None, "mean" if count is None else "sum"
    if labels is not None and labels.dim() == 1:
        loss = F.cross_entropy(logits_BC.float(), labels, reduction=reduction)
    elif labels is not None:
        loss = F.binary_cross_entropy_with_logits(
            logits_BC.float(), labels.float(), reduction=reduction
        )
    if loss is not None and count is not None:
        loss = loss / count
    return SequenceClassifierOutput(loss=loss, logits=logits_BC)


def near(
    said_BC: Tensor, labels: Tensor | None, count: Tensor | int | None = None
) -> SequenceClassifierOutput:
    """As `classified`, of numbers (B,) or (B, C): their mean squared error."""
    loss = None
    if labels is not None:
        square_BC = (said_BC.float() - labels.float().view_as(said_BC)).square()
        loss = square_BC.mean() if count is None else square_BC.sum() / count
    return SequenceClassifierOutput(loss=loss, logits=said_BC)
