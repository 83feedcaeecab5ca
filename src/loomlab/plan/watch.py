"""Listens to every operation of a step: memory alive, arithmetic, bytes moved, messages."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from loomlab.measure.flops import OF_OPERATIONS
from loomlab.parallelism.message import Message

MAKES_NOTHING = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"}
COLLECTIVES = {
    "allreduce_": "all_reduce",
    "allreduce_coalesced_": "all_reduce",
    "_allgather_base_": "all_gather",
    "allgather_": "all_gather",
    "_reduce_scatter_base_": "reduce_scatter",
    "reduce_scatter_": "reduce_scatter",
    "broadcast_": "broadcast",
    "alltoall_base_": "all_to_all",
    "all_reduce": "all_reduce",
    "all_gather_into_tensor": "all_gather",
    "reduce_scatter_tensor": "reduce_scatter",
    "all_to_all_single": "all_to_all",
    "send": "send",
}
# How torch's fully_shard sends what it prefetches while blocks compute.
PREFETCHED = {"_allgather_base_", "_reduce_scatter_base_", "send"}


@dataclass(frozen=True)
class Kernel:
    """One operation: floating-point operations, bytes read and written, format of its products."""

    name: str
    flops: float
    bytes: float
    half: bool


class Watch(TorchDispatchMode):
    """While entered: what is alive is counted by storage, as an allocator would."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.sizes: dict[int, int] = {}  # bytes of each storage that is alive
        self.kernels: list[Kernel] = []
        self.messages: list[Message] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # it comes again with what this process holds of each
        result = func(*args, **(kwargs or {}))
        inputs = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        outputs = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        for tensor in outputs:
            self.note(tensor)
        name = func._overloadpacket.__name__
        if func.namespace in ("c10d", "_c10d_functional") and name in COLLECTIVES:
            self.messages.append(_message(name, args, kwargs or {}, inputs))
        else:
            self._compute(func, name, args, kwargs or {}, result, inputs, outputs)
        return result

    def note(self, tensor: Tensor) -> None:
        """Count the storage of a tensor from now until it is gone."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.sizes:
            self.sizes[key] = 0
            weakref.finalize(storage, self._forget, key)
            self._resize(key, storage.nbytes())

    def _resize(self, key: int, size: int) -> None:
        self.live += size - self.sizes[key]
        self.sizes[key] = size
        self.peak = max(self.peak, self.live)

    def _forget(self, key: int) -> None:
        self.live -= self.sizes.pop(key)

    def _compute(
        self, func: Any, name: str, args: Any, kwargs: Any, result: Any,
        inputs: list[Tensor], outputs: list[Tensor],
    ) -> None:  # fmt: skip
        held = {t.untyped_storage()._cdata for t in inputs}
        made = [t for t in outputs if t.untyped_storage()._cdata not in held]
        if name in MAKES_NOTHING or not (made or func._schema.is_mutable):
            return  # a view, or room for what comes
        flops = OF_OPERATIONS.get(func._overloadpacket)
        work = flops(*args, **kwargs, out_val=result) if flops else 0
        moved = sum(t.numel() * t.element_size() for t in {id(t): t for t in inputs}.values())
        moved += sum(t.numel() * t.element_size() for t in outputs)
        half = any(t.dtype in (torch.bfloat16, torch.float16) for t in inputs)
        self.kernels.append(Kernel(name, work, moved, half))

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Entered, with what no dispatch tells: storages that change their size in place."""
        resize, watch = torch.UntypedStorage.resize_, self

        def resized(storage: torch.UntypedStorage, size: int) -> Any:
            done = resize(storage, size)
            if storage._cdata in watch.sizes:
                watch._resize(storage._cdata, size)
            return done

        torch.UntypedStorage.resize_ = resized  # type: ignore[method-assign, assignment]
        FakeTensor.data_ptr = _address  # type: ignore[method-assign, assignment]
        try:
            with self:
                yield
        finally:
            torch.UntypedStorage.resize_ = resize  # type: ignore[method-assign]
            del FakeTensor.data_ptr


def _address(tensor: Tensor) -> int:
    """What tells tensors apart that have no memory."""
    return tensor.untyped_storage()._cdata + tensor.storage_offset() * tensor.element_size()


def _message(name: str, args: Any, kwargs: Any, tensors: list[Tensor]) -> Message:
    """A collective that was called; its largest tensor is the whole one."""
    ranks = [0, 1] if name == "send" else _ranks([*args, *kwargs.values()])
    size = max((t.numel() * t.element_size() for t in tensors), default=0)
    kind = COLLECTIVES[name]
    if name in ("all_gather_into_tensor", "allgather_"):
        size = size * len(ranks) if name == "all_gather_into_tensor" else size
    stride = ranks[1] - ranks[0] if len(ranks) > 1 else 1
    return Message(kind, size, len(ranks), stride, waited_for=name not in PREFETCHED)


def _ranks(arguments: list[Any]) -> list[int]:
    """The ranks of the group among the arguments of a collective."""
    for value in arguments:
        if isinstance(value, torch.ScriptObject):
            with contextlib.suppress(RuntimeError, TypeError):
                return dist.get_process_group_ranks(dist.ProcessGroup.unbox(value))
        if isinstance(value, dist.ProcessGroup):
            return dist.get_process_group_ranks(value)
        if isinstance(value, str) and value.isdigit():
            return dist.get_process_group_ranks(
                dist.distributed_c10d._resolve_process_group(value)  # type: ignore[arg-type]
            )
    return list(range(dist.get_world_size()))
