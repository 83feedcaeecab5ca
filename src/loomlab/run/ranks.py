"""A run of several processes ends as one: whichever fails, its user is told which and why."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist

from loomlab.callbacks.store import CheckpointStore
from loomlab.errors import InputError
from loomlab.parallelism.base import Parallelism, global_rank
from loomlab.parallelism.roll_call import Failure, RollCall, kill
from loomlab.run.folder import RunFolder
from loomlab.run.pruning import Pruned

FIND_SECONDS = 6.0  # after a collective has failed, for the reason to show
OF_COLLECTIVES = ("gloo", "NCCL", "Connection", "connection", "imed out", "pair closure")


class RankFailed(RuntimeError):
    """Another process of the run has failed, was killed or hangs; the text names it."""


class Presence(pl.Callback):
    """Counts the places where a process waits for the others, so that the slowest is known."""

    def __init__(self, roll: RollCall) -> None:
        self.entry = roll.own

    def _waits(self, *_: Any) -> None:
        self.entry.waits += 1

    on_train_start = on_train_batch_start = on_before_backward = _waits  # type: ignore[assignment]
    on_validation_start = on_validation_epoch_end = on_validation_end = _waits  # type: ignore


@contextmanager
def among_ranks(parallelism: Parallelism, folder: RunFolder) -> Iterator[list[pl.Callback]]:
    """Training in here is that of all processes; gives the callbacks it needs for that.

    Raises:
        RankFailed: another process has ended it.
    """
    if parallelism.world_size == 1:
        yield []
        return
    rank = global_rank(parallelism.devices)
    roll = RollCall(folder.path, rank, parallelism.world_size)
    roll.begin(lambda failure: _give_up(roll, folder, failure))
    error = ""
    try:
        yield [Presence(roll)]
    except Pruned:
        raise
    except InputError as refusal:
        error = "" if rank == 0 else f"rank {rank} failed: {refusal}"
        roll.end_children()
        raise
    except Exception as problem:
        error = f"rank {rank} failed: {type(problem).__name__}: {problem}"
        if not of_a_collective(problem):
            raise
        failure = roll.find(FIND_SECONDS, parallelism.timeout)
        error = failure.message
        _settle(roll, folder, failure)
        raise RankFailed(error) from problem
    finally:
        if error:
            roll.end_children()
            if rank == 0:
                CheckpointStore(folder.checkpoints).clean()
        roll.end(error)


def of_a_collective(problem: BaseException) -> bool:
    """Whether an error says no more than that the processes have lost each other."""
    if isinstance(problem, dist.DistError):
        return True
    return isinstance(problem, RuntimeError) and any(w in str(problem) for w in OF_COLLECTIVES)


def _settle(roll: RollCall, folder: RunFolder, failure: Failure) -> None:
    """End a process that hangs, and speak for the first one if it cannot."""
    if failure.entry is None:
        return
    if failure.hangs:
        kill(failure.entry)
    if failure.entry.rank == 0 and not failure.entry.error:
        record(folder, failure.message)


def record(folder: RunFolder, message: str) -> None:
    """Write into the summary that the run has failed, and leave nothing half-written."""
    CheckpointStore(folder.checkpoints).clean()
    summary = folder.summary()
    if summary.get("status") == "running":
        failed = {"status": "failed", "error": f"{RankFailed.__name__}: {message}"}
        with suppress(OSError):
            folder.write_summary({**summary, **failed})


def _give_up(roll: RollCall, folder: RunFolder, failure: Failure) -> None:
    """End this process, which waits in a place where no exception reaches it."""
    _settle(roll, folder, failure)
    if roll.own.rank == 0:
        record(folder, failure.message)
        print(f"loom train: {failure.message}", file=sys.stderr, flush=True)
    roll.end_children()
    os._exit(1)
