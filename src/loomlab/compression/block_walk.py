"""Hidden states handed from block to block, so that no block is run again for those behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from torch import Tensor, nn
from transformers import Cache

from loomlab.measure.modes import uncached

Batch = dict[str, Any]


class Enough(Exception):
    """All that was to be seen of a forward has been seen: the rest of it need not run."""


class Call:
    """How the model called its blocks for one batch: what it gave each of them.

    `chained`: each block was called once, in order, with what the one before it returned. Only
    then does handing on hidden states give what the whole model would.
    """

    def __init__(self) -> None:
        self.given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.chained = True
        self.hidden: Tensor | None = None  # into the block that is next
        self._returned: list[Any] = []  # by the block before: hidden states, and what else

    def note(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A block is about to be called."""
        hidden, *rest = args or (None,)
        handed_on, *others = self._returned or (hidden,)
        side_way = any(value is other for other in others for value in (*rest, *kwargs.values()))
        in_order = number == len(self.given) and isinstance(hidden, Tensor)
        self.chained &= in_order and hidden is handed_on and not side_way
        self.hidden = hidden if number == 0 else self.hidden
        plain = {k: None if isinstance(v, Cache) else v for k, v in kwargs.items()}
        self.given.append((tuple(None if isinstance(v, Cache) else v for v in rest), plain))

    def returned(self, output: Any) -> None:
        """What a block gave back; of more than one thing the hidden states come first."""
        parts = output if isinstance(output, tuple | list) else (output,)
        self._returned = [part for part in parts if part is not None]

    def run(self, block: nn.Module, number: int) -> Any:
        """A block's output for the hidden states at hand."""
        rest, kwargs = self.given[number]
        return block(self.hidden, *rest, **kwargs)


class BlockWalk:
    """Calibration batches on their way through the numbered blocks of a list."""

    def __init__(self, blocks: list[nn.Module], calls: list[Call]) -> None:
        self.blocks, self.calls, self.at = blocks, calls, 0

    @classmethod
    def begin(cls, model: nn.Module, stem: str, batches: list[Batch]) -> BlockWalk | None:
        """Bring the batches before the blocks named `stem`.0, `stem`.1, ...

        None if the model does more between them than hand hidden states on.
        """
        blocks = list(model.get_submodule(stem).children())
        calls = []
        for batch in batches:
            calls.append(_recorded(model, blocks, batch))
            if not calls[-1].chained or len(calls[-1].given) != len(blocks):
                return None
        return cls(blocks, calls)

    def run(self, number: int) -> Iterator[None]:
        """Run block `number` for one batch after the other, behind those before it as they are.

        Hooks of its layers may end it early by `Enough`.
        """
        for call in self.calls:
            for passed in range(self.at, number):
                output = call.run(self.blocks[passed], passed)
                call.hidden = output[0] if isinstance(output, tuple | list) else output
            with suppress(Enough):
                call.run(self.blocks[number], number)
            yield
        self.at = number


def _recorded(model: nn.Module, blocks: list[nn.Module], batch: Batch) -> Call:
    """Run the model up to the end of its blocks."""
    call = Call()

    def before(number: int) -> Callable[..., None]:
        return lambda _, args, kwargs: call.note(number, args, kwargs)

    def after(_: nn.Module, __: Any, output: Any) -> None:
        call.returned(output)
        if len(call.given) == len(blocks):
            raise Enough

    hooks = [
        hook
        for number, block in enumerate(blocks)
        for hook in (
            block.register_forward_pre_hook(before(number), with_kwargs=True),
            block.register_forward_hook(after),
        )
    ]
    try:
        with suppress(Enough), uncached(model):
            model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return call
