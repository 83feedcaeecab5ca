"""Focal loss for language models (Lin et al. 2017, arXiv 1708.02002, equation 4)."""

from typing import Annotated, Any

from torch import Tensor

from loomlab.objective.clm import CausalLM


class FocalLM(CausalLM):
    """Causal language modelling in which tokens that are already easy count less."""

    def __init__(self, gamma: Annotated[float, "[0, inf)"] = 2.0, **shared: Any) -> None:
        super().__init__(**shared)
        self.gamma = gamma

    def loss(self, logits_MV: Tensor, targets_M: Tensor) -> Tensor:
        """Mean of -(1 - p)^gamma log p, in nats; gamma = 0 is the cross entropy."""
        log_p_M = logits_MV.float().log_softmax(-1).gather(1, targets_M[:, None])[:, 0]
        return -((1 - log_p_M.exp()) ** self.gamma * log_p_M).mean()
