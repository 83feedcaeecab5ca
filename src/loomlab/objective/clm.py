"""Causal language modelling."""

# Shapes: B rows, T positions, U = T + 1 tokens of a window, V vocabulary.

from __future__ import annotations

import torch
from torch import Tensor

from loomlab.objective.base import Batch, Objective
from loomlab.text.samples import Samples


class CausalLM(Objective):
    """Predict each token from those before it (GPT)."""

    head = "causal_lm"
    requires = {"model.architecture": ("decoder", "any")}
    because = {"model.architecture": "an encoder sees the token it would have to predict"}

    def collate(self, samples: Samples) -> Batch:
        """Windows of T + 1 tokens as inputs (B, T) and next-token targets (B, T)."""
        batch = {
            "input_ids": samples.tokens_BU[:, :-1].contiguous(),
            "targets": samples.tokens_BU[:, 1:].contiguous(),
        }
        if samples.document_BU is not None:
            batch["document_ids"] = samples.document_BU[:, :-1].contiguous()
        return batch

    def select(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Rows (B*T, D) for the head and targets (B*T,): every position counts."""
        return self.states(batch).flatten(0, 1), batch["targets"].flatten()

    @torch.no_grad()
    def sample(self, prompt: str, length: int) -> str:
        """Continue the prompt by `length` tokens, nucleus sampling at 0.95."""
        from loomlab.text.generation import continue_text

        return continue_text(self.model, self.tokenizer, prompt, max_new_tokens=length)
