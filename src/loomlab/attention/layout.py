"""Which key each query may see, told once per forward pass and shared by all layers.

Shapes: B batch, T queries, S keys, H heads.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Bias = Callable[[Tensor, Tensor], Tensor | None]


@dataclass(frozen=True)
class Layout:
    """What limits attention in one forward pass, beyond the rule of the attention itself.

    The queries are the last T of the S keys (T == S unless a cache holds earlier keys). Positions
    here are places in the sequence, 0 .. S-1: inside one document they differ from position ids
    by a constant at most, so distances agree, and they stay correct where position ids restart.
    Batch dimensions may be 1. Masks are built on first use and kept in `memo` for later layers.

    Attributes:
        causal: a query sees no key after its own position.
        keep_BS: False at padding, or None when there is none.
        document_query_BT, document_key_BS: tokens see only tokens of an equal document id.
        bias: (query_position, key_position) -> what is added to the scores, (B|1, H, T, S).
        dropout: probability of dropping an attention weight (0 outside training).
        explicit: attention is to be computed by weights that can be looked at.
        weights: where each layer then leaves them, (B, H, T, S), if anybody asks for them.
    """

    causal: bool
    query_position_BT: Tensor
    key_position_BS: Tensor
    keep_BS: Tensor | None = None
    document_query_BT: Tensor | None = None
    document_key_BS: Tensor | None = None
    bias: Bias | None = None
    dropout: float = 0.0
    explicit: bool = False
    weights: list[Tensor] | None = field(default=None, repr=False, compare=False)
    memo: dict[Hashable, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def plain(self) -> bool:
        """Whether nothing but causality limits attention: no padding, documents or bias."""
        return self.keep_BS is None and self.document_key_BS is None and self.bias is None

    @property
    def square(self) -> bool:
        """Whether queries and keys are the same tokens: nothing comes from a cache."""
        # A branch, so that a compiler decides here: kernels take no flag of symbolic sizes.
        if self.query_position_BT.shape[-1] == self.key_position_BS.shape[-1]:  # noqa: SIM103
            return True
        return False

    @property
    def is_causal(self) -> bool:
        """Whether the causal flag of scaled_dot_product_attention says it all."""
        return self.causal and self.plain and self.square

    def once(self, key: Hashable, build: Callable[[], Tensor]) -> Tensor:
        """What `build` returns, built by the first layer that asks and shared by the others."""
        if key not in self.memo:
            self.memo[key] = build()
        return self.memo[key]

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """The additive mask (B|1, H|1, T, S) of `dtype`, or None where none is needed."""
        # A single last query sees every key: causality asks nothing of it.
        free = not self.causal or self.square or self.query_position_BT.shape[-1] == 1
        if self.plain and free:
            return None
        return self.dense(dtype)

    def dense(self, dtype: torch.dtype) -> Tensor:
        """The additive mask (B|1, H|1, T, S) of `dtype`, also where `mask` needs none."""
        return self.once(("dense", dtype), lambda: self._dense(dtype))

    def _dense(self, dtype: torch.dtype) -> Tensor:
        query_BT, key_BS = self.query_position_BT, self.key_position_BS
        documents = (self.document_query_BT, self.document_key_BS)
        allowed_BTS = self.allowed(query_BT, key_BS, self.keep_BS, *documents)
        return self.additive(allowed_BTS, query_BT, key_BS, dtype)

    def allowed(
        self,
        query: Tensor,
        key: Tensor,
        keep: Tensor | None = None,
        document_query: Tensor | None = None,
        document_key: Tensor | None = None,
    ) -> Tensor:
        """Which key each query may see: bool (..., T, S) for positions (..., T) and (..., S).

        A query always sees itself, so that no row of scores is empty: softmax over an empty row
        is not a number, which would spread from padding to real tokens in the next layer.
        """
        gap = query[..., :, None] - key[..., None, :]
        seen = gap >= 0 if self.causal else torch.ones_like(gap, dtype=torch.bool)
        if keep is not None:
            seen = seen & keep[..., None, :]
        if document_query is not None and document_key is not None:
            seen = seen & (document_query[..., :, None] == document_key[..., None, :])
        return seen | (gap == 0)

    def additive(
        self, allowed_BTS: Tensor, query_BT: Tensor, key_BS: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Mask and bias as one tensor to add to the scores, (B|1, H|1, T, S) of `dtype`."""
        bias_BHTS = None if self.bias is None else self.bias(query_BT, key_BS)
        if bias_BHTS is None:
            bias_BHTS = torch.zeros((), dtype=dtype, device=query_BT.device)
        return bias_BHTS.to(dtype).masked_fill(~allowed_BTS[:, None], float("-inf"))
