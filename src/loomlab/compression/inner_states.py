"""What blocks of a model compute on the way, noted while it reads a batch."""

# Shapes: B rows, T positions, D width, H heads, K head width.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from loomlab.attention.base import Attention
from loomlab.attention.layout import Layout
from loomlab.errors import InputError
from loomlab.measure.blocks import named_blocks
from loomlab.model.block import SelfAttention


@dataclass
class Attended:
    """What one attention was given."""

    q_BHTK: Tensor
    k_BHTK: Tensor
    v_BHTK: Tensor
    layout: Layout
    attention: Attention

    def scores(self) -> tuple[Tensor, Tensor]:
        """Scores (B, H, T, T) before the softmax, and the mask that is to be added to them."""
        scores_BHTT = self.q_BHTK @ self.k_BHTK.mT * self.q_BHTK.shape[-1] ** -0.5
        return scores_BHTT.float(), self.mask()

    def mask(self) -> Tensor:
        """What is added to all scores: -inf where a key is unseen."""
        return self.attention.dense_mask(self.layout, self.q_BHTK.dtype).float()


class InnerStates:
    """Hooks on the blocks of a model; they note something only while `listening`."""

    def __init__(self, model: nn.Module, whose: str, attention: bool) -> None:
        """Listen to hidden states, and with `attention` to queries, keys and values.

        Raises:
            InputError: the model has no such parts.
        """
        blocks = list(named_blocks(model).values())
        inside = [[m for m in block.modules() if isinstance(m, SelfAttention)] for block in blocks]
        if not blocks or (attention and any(len(found) != 1 for found in inside)):
            lacks = "attention as in model=gpt and model=bert" if blocks else "blocks"
            raise InputError(
                f"compression.distill.inner: the {whose}, {type(model).__name__}, has no {lacks}; "
                "take inner=none" + (", or inner=distilbert" if blocks else "")
            )
        self.depth = len(blocks)
        self.listening = False
        self.hidden: dict[int, Tensor] = {}  # by layer, -1 what the first block is given
        self.attended: dict[int, Attended] = {}
        self.hooks = [blocks[0].register_forward_pre_hook(self._first, with_kwargs=True)]
        self.hooks += [b.register_forward_hook(self._leaves(n)) for n, b in enumerate(blocks)]
        if attention:
            self.hooks += [
                found[0].attention.register_forward_pre_hook(self._attends(n))
                for n, found in enumerate(inside)
            ]

    def listen(self) -> None:
        """Note what the next pass computes, and nothing of earlier ones."""
        self.forget()
        self.listening = True

    def forget(self) -> None:
        """Hold no tensor any more."""
        self.listening = False
        self.hidden, self.attended = {}, {}

    def leave(self) -> None:
        """Take the hooks off."""
        self.forget()
        for hook in self.hooks:
            hook.remove()

    def _first(self, _: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self.listening:
            self.hidden[-1] = given[0] if given else named["hidden_states"]

    def _leaves(self, layer: int) -> Callable[..., None]:
        def note(_: nn.Module, __: Any, left: Any) -> None:
            if self.listening:
                self.hidden[layer] = left if isinstance(left, Tensor) else left[0]

        return note

    def _attends(self, layer: int) -> Callable[..., None]:
        def note(attention: nn.Module, given: tuple[Any, ...]) -> None:
            if self.listening:
                assert isinstance(attention, Attention)
                q_BHTK, k_BHTK, v_BHTK, layout = given
                self.attended[layer] = Attended(q_BHTK, k_BHTK, v_BHTK, layout, attention)

        return note
