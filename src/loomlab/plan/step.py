"""One optimizer step on paper: the code of the run, on tensors that have shapes and no values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer

from loomlab.activation_checkpointing.block import Block
from loomlab.measure.whole import local
from loomlab.objective.base import Batch
from loomlab.parallelism.message import Message
from loomlab.plan.paper import Paper, spread
from loomlab.plan.watch import Kernel, Watch
from loomlab.run.assembly import split_of
from loomlab.run.constructor import constructor


@dataclass
class Watched:
    """What one process holds and does in a step of the optimizer."""

    parameters: int  # bytes each, from here
    gradients: int
    states: int
    activations: int  # of a micro-step, alive when it turns from forward to backward
    kept_aside: int  # by the way of spreading: buckets, further copies
    peak: int
    micro: list[Kernel] = field(default_factory=list)  # of a micro-step
    update: list[Kernel] = field(default_factory=list)  # clipping and the optimizer
    messages: list[Message] = field(default_factory=list)
    micro_steps: int = 1

    @property
    def flops(self) -> float:
        """Of one process in a step."""
        return self.micro_steps * _flops(self.micro) + _flops(self.update)


def rehearse(paper: Paper, recompute: bool = False, rank: int = 0) -> Watched:
    """Run a step of a paper, with blocks computed again in the backward pass if `recompute`."""
    spread(paper)
    objective = paper.objective
    if recompute:
        Block().apply(objective.model)
    part = paper.parallelism.part(objective, rank)
    watch = Watch()
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, watch.listening():
        materialize(objective.model)
        objective.train()
        optimizer = objective.configure_optimizers()["optimizer"]
        make_states(optimizer)
        batch: Batch = {k: fake.from_tensor(v) for k, v in paper.batch.items()}
        half = constructor(paper.config.precision)().bf16

        def forward() -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                return part(batch)

        return _step(paper, forward, optimizer, watch)


def materialize(model: nn.Module) -> None:
    """Give the weights of a meta model a place where the step takes them to be.

    Modules that share a weight share it afterwards, too.
    """
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            places.setdefault(id(parameter), []).append((module, name))
    model.to_empty(device="cpu")
    for (first, name), *others in places.values():
        for module, other in others:
            setattr(module, other, first.get_parameter(name))


def make_states(optimizer: Optimizer) -> None:
    """Have an optimizer make what it keeps, which the first step does."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


def _step(
    paper: Paper, forward: Callable[[], Tensor], optimizer: Optimizer, watch: Watch
) -> Watched:
    trained = [p for p in paper.objective.parameters() if p.requires_grad]
    accumulate = split_of(paper.config, paper.parallelism).steps
    watch.peak, activations = watch.live, 0
    for _ in range(min(2, accumulate)):
        watch.kernels, watch.messages = [], []
        before, peak, watch.peak = watch.live, watch.peak, watch.live
        loss = forward()
        # The stage of a pipeline goes back in between: what it keeps at most is meant.
        activations = (watch.peak if paper.parallelism.idle else watch.live) - before
        watch.peak = max(peak, watch.peak)
        (loss / accumulate).backward()
        del loss
    micro, messages = watch.kernels, _times(watch.messages, accumulate)
    watch.kernels, watch.messages = [], []
    gradients = held(p.grad for p in trained if p.grad is not None)
    _update(paper, optimizer, trained)
    spreading = paper.parallelism
    aside = spreading.kept_aside(trained)
    return Watched(
        parameters=held(paper.objective.parameters()),
        gradients=gradients,
        states=held(states_of(optimizer)),
        activations=activations,
        kept_aside=aside,
        peak=watch.peak + aside,
        micro=micro,
        update=watch.kernels,
        messages=[*messages, *watch.messages, *spreading.messages(trained)],
        micro_steps=accumulate,
    )


def _update(paper: Paper, optimizer: Optimizer, trained: list[nn.Parameter]) -> None:
    limit = paper.config.trainer.gradient_clip_val
    if limit and paper.parallelism.clip is None:
        torch.nn.utils.clip_grad_norm_(trained, limit)
    optimizer.step()
    optimizer.zero_grad()


def _times(messages: Iterable[Message], count: int) -> list[Message]:
    return [
        Message(m.kind, m.size, m.ranks, m.stride, m.waited_for, m.count * count) for m in messages
    ]


def states_of(optimizer: Optimizer) -> list[Tensor]:
    """The tensors an optimizer keeps."""
    kept = (v for state in optimizer.state.values() for v in state.values())
    return [value for value in kept if isinstance(value, Tensor)]


def held(tensors: Iterable[Tensor]) -> int:
    """Bytes that this process holds of tensors; what is shared counts once."""
    storages = {s._cdata: s.nbytes() for s in (local(t).untyped_storage() for t in tensors)}
    return sum(storages.values())


def _flops(kernels: Iterable[Kernel]) -> float:
    return float(sum(kernel.flops for kernel in kernels))
