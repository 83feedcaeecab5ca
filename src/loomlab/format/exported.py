"""An exported model that is used like the one it came from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from loomlab.format.base import INPUTS, Runner


class ExportedModel(PreTrainedModel, GenerationMixin):
    """Logits by an exported file; scores, predicts and generates, but is not trained.

    It keeps no cache, so each generated token costs a pass over all before it.
    """

    _supports_cache_class = False
    _supports_sdpa = True  # how it attends is in its file, whatever its config says
    bound = True  # its file was made for where it is

    def __init__(self, config: Any, runner: Runner) -> None:
        super().__init__(config)
        self.runner = runner
        # Transformers asks the first parameter for a device.
        self.anchor = torch.nn.Parameter(torch.zeros(()), requires_grad=False)

    @torch.no_grad()
    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> CausalLMOutput:
        """The logits, (B, T, V) or (B, C), of token ids (B, T)."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        given = dict(zip(INPUTS, (input_ids, attention_mask.long()), strict=True))
        return CausalLMOutput(logits=self.runner(given))

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: Tensor, **kwargs: Any
    ) -> dict[str, Any]:
        """All tokens so far."""
        return {"input_ids": input_ids, "attention_mask": kwargs.get("attention_mask")}

    def longest_sequence(self) -> int | None:
        """Tokens the positions can tell, as the config says."""
        longest: int | None = getattr(self.config, "max_position_embeddings", None)
        return longest
