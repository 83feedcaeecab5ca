"""What goes into each layer when the model reads real text, block by block.

Shapes: N tokens, I inputs of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import torch
from torch import Tensor, nn

from loomlab.compression.block_walk import Batch, BlockWalk, Enough
from loomlab.compression.targets import in_blocks, place_of
from loomlab.measure.modes import uncached

DEFAULT_ROWS = 128
Measure = Callable[[Tensor], Tensor]
Merge = Callable[[Tensor, Tensor], Tensor]


def take_rows(batches: Iterable[Batch], rows: int) -> list[Batch]:
    """The first `rows` rows, in batches as they come; the last one is cut."""
    taken: list[Batch] = []
    for batch in batches:
        size = len(batch["input_ids"])
        taken.append({k: v[:rows] for k, v in batch.items()} if size > rows else dict(batch))
        rows -= size
        if rows <= 0:
            break
    return taken


def gram_of(x_NI: Tensor) -> Tensor:
    """x x^T (I, I) of inputs."""
    return x_NI.T @ x_NI


@torch.no_grad()
def each_layer(
    model: nn.Module, layers: dict[str, nn.Linear], batches: list[Batch],
    measure: Measure = gram_of, merge: Merge = torch.add,
) -> Iterator[tuple[str, nn.Linear, Tensor]]:  # fmt: skip
    """Every layer with what is measured of the inputs it gets from `batches`: the sum of x x^T.

    Anything else that a `measure` gives for some of the inputs is put together by `merge`; of
    inputs of zeros it has to be nothing to begin with.
    A block is measured once the blocks before it have been changed, as Frantar & Alistarh 2023
    do, so that it can make up for what they lost. Hidden states are handed on from block to
    block; layers outside of blocks, or of a model that does not chain them, cost whole forwards.
    """
    training = model.training
    model.eval()
    walks: dict[str, BlockWalk | None] = {}
    for block in in_blocks(layers):
        stem, number = place_of(next(iter(block)))
        if stem and stem not in walks:
            walks[stem] = BlockWalk.begin(model, stem, batches)
        walk = walks.get(stem)
        runs = walk.run(number) if walk else _whole(model, batches)
        found = _measured(block, runs, measure, merge)
        for name, layer in block.items():
            yield name, layer, found[name]
    model.train(training)


def _whole(model: nn.Module, batches: list[Batch]) -> Iterator[None]:
    """Run the model for one batch after the other, as far as is needed."""
    for batch in batches:
        with suppress(Enough), uncached(model):
            model(**batch)
        yield


def _measured(
    block: dict[str, nn.Linear], batches_run: Iterator[None], measure: Measure, merge: Merge
) -> dict[str, Tensor]:
    """What is measured of some layers that are called while the batches are run.

    Layers that get the very same tensor (queries, keys and values) share the measuring.
    """
    found = {n: measure(torch.zeros(1, m.in_features)) for n, m in block.items()}
    due, last = set(block), [torch.empty(0), torch.empty(0)]

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if inputs[0] is not last[0]:
                last[:] = inputs[0], measure(inputs[0].detach().float().flatten(0, -2))
            found[name] = merge(found[name], last[1])
            due.discard(name)
            if not due:
                raise Enough

        return hook

    hooks = [layer.register_forward_pre_hook(note(name)) for name, layer in block.items()]
    try:
        for _ in batches_run:
            due.update(block)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def inverse_hessian_factor(gram: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """The upper Cholesky factor of the inverse of the damped x x^T, and which inputs are dead.

    A dead input is one that was never other than zero. Frantar et al. 2022, section 3.3, step 3.
    """
    hessian = gram.double()
    dead = hessian.diagonal() == 0
    hessian = hessian + torch.diag(dead.double())
    hessian += torch.eye(len(hessian)) * damping * hessian.diagonal().mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    return torch.linalg.cholesky(inverse, upper=True).float(), dead
