"""How the processes of a run find each other: a store of keys at the address of the first one."""

from __future__ import annotations

import math
import os
import time
import uuid
from datetime import timedelta
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import torch.distributed as dist
from lightning_fabric.plugins.environments import ClusterEnvironment, LightningEnvironment
from lightning_utilities.core.rank_zero import rank_zero_only

from loomlab.errors import InputError
from loomlab.parallelism.place import Place, given_place

DISTRIBUTED_VARIABLES = (
    "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
)  # fmt: skip
MEET_WITHIN = timedelta(seconds=300)
HEARD_WITHIN = 5.0  # seconds the first process stays for the others to read how it ended
HOME = "home"
GROUP = "LOOM_GROUP"  # the variable with the name of the group of this attempt
REFUSED = "refused"  # in place of a group, where no folder is to come


class GivenEnvironment(ClusterEnvironment):
    """For Lightning: processes that torchrun or srun has started."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    @property
    def creates_processes_externally(self) -> bool:
        """So that no more of them are started."""
        return True

    @property
    def main_address(self) -> str:
        """Where the first process is."""
        return self.place.address

    @property
    def main_port(self) -> int:
        """Where the store is."""
        return self.place.port

    @staticmethod
    def detect() -> bool:
        """Whether there is such a place."""
        return given_place() is not None

    def world_size(self) -> int:
        """Processes over all nodes."""
        return self.place.world_size

    def set_world_size(self, size: int) -> None:
        """It is given."""

    def global_rank(self) -> int:
        """Number of this process among all."""
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        """It is given."""

    def local_rank(self) -> int:
        """Number of this process on its node."""
        return self.place.local_rank

    def node_rank(self) -> int:
        """Number of the node."""
        return self.place.node

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Refuse a config made for other processes than there are."""
        if (num_devices, num_nodes) != (self.place.devices, self.place.nodes):
            raise InputError(
                f"parallelism.devices={num_devices} and parallelism.num_nodes={num_nodes} are "
                f"not what {self.place.starter} has started: leave both out"
            )


class OwnEnvironment(LightningEnvironment):
    """For Lightning: processes that the first one of the run starts itself.

    Lightning looks for a free port, lets go of it and hopes. Here the store is opened first, on a
    port that the system gives, and the others are told that one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = not self.creates_processes_externally  # before it tells others their place
        self.opened: dist.TCPStore | None = None

    @property
    def main_port(self) -> int:
        """Where the store is."""
        return int(self.store().port)

    def store(self) -> dist.TCPStore:
        """The store of the first process, which opens it when asked, or a connection to it."""
        if self.opened is None:
            port = int(os.environ.get("MASTER_PORT", 0))  # 0: any that is free
            self.opened = dist.TCPStore(
                self.main_address, port, None, self.first, MEET_WITHIN, wait_for_workers=False
            )
        return self.opened


def cluster_environment() -> ClusterEnvironment:
    """What Lightning asks for the place of this process."""
    place = given_place()
    return OwnEnvironment() if place is None else GivenEnvironment(place)


def open_store(place: Place, serves: bool) -> dist.TCPStore:
    """A connection to the store of a place, or the store itself."""
    return dist.TCPStore(
        place.address, place.port, place.world_size, serves, MEET_WITHIN, wait_for_workers=False
    )


@cache
def given_store(place: Place) -> dist.TCPStore:
    """The store that processes started from outside share from their first moment on."""
    return open_store(place, serves=place.rank == 0 and not place.port_is_served)


class Board:
    """Where the first process tells the others which folder the run is in, or how it ended.

    After a failure torchrun starts all processes again, and keeps the store with all that was
    said in it; how often, it tells them differently. So each asks under a word of its own, and
    whoever is the first process now answers, with the name of the group that is to be made.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.store = given_store(place)
        self.group = uuid.uuid4().hex
        self.announced = False

    def home(self) -> Path | None:
        """The folder of an earlier attempt."""
        return Path(self.store.get(HOME).decode()) if self.store.check([HOME]) else None

    def announce(self, folder: Path) -> None:
        """The others may come to the folder now; they are answered while this process goes on."""
        self.announced = True
        os.environ[GROUP] = self.group
        self.store.set(HOME, str(folder.absolute()))
        answer = f"{self.group} {folder.absolute()}"
        self.answering = Thread(target=self._answer, args=(answer, math.inf), daemon=True)
        self.answering.start()

    def dismiss(self, code: int) -> None:
        """No folder is to come, if none was announced; the others leave with the exit code."""
        if not self.announced:
            self._answer(f"{REFUSED} {code}", HEARD_WITHIN)

    def _answer(self, text: str, seconds: float) -> None:
        store = open_store(self.place, serves=False)  # one that waits would block the other
        missing, end = set(range(1, self.place.world_size)), time.monotonic() + seconds
        answered: set[bytes] = set()
        while missing and time.monotonic() < end:
            for rank in range(1, self.place.world_size):
                word = store.get(f"ask{rank}") if store.check([f"ask{rank}"]) else b""
                if word and word not in answered:
                    answered.add(word)
                    store.set(f"answer{word.decode()}", text)
                if word and store.check([f"heard{word.decode()}"]):
                    missing.discard(rank)
            time.sleep(0.05)

    def wait(self) -> Path | int:
        """The folder, however long its data take to prepare, or the exit code."""
        word = uuid.uuid4().hex
        self.store.set(f"ask{self.place.rank}", word)
        while not self.store.check([f"answer{word}"]):
            time.sleep(0.05)
        group, _, said = self.store.get(f"answer{word}").decode().partition(" ")
        self.store.set(f"heard{word}", "")
        if group == REFUSED:
            return int(said)
        os.environ[GROUP] = group
        return Path(said)


def join_group(strategy: Any) -> None:
    """Make the process group of a strategy, over keys that no earlier attempt has used.

    Lightning finds it made. Its own way has all attempts of an elastic restart use the same keys,
    and gloo then connects to processes that are gone.
    """
    if dist.is_initialized():
        return
    strategy.set_world_ranks()
    environment, place = strategy.cluster_environment, given_place()
    rank, size = strategy.global_rank, strategy.world_size
    if place is None:
        store: dist.Store = environment.store()
    else:
        store = dist.PrefixStore(os.environ[GROUP], given_store(place))
    store.set(f"here{rank}", "")  # starting takes its time; it is not what `timeout` is about
    store.wait([f"here{other}" for other in range(size)], MEET_WITHIN)
    dist.init_process_group(
        strategy._get_process_group_backend(), store=store, rank=rank, world_size=size,
        timeout=strategy._timeout,
    )  # fmt: skip


def leave_group() -> None:
    """Forget a finished process group, so that the next run of this process starts its own."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
    if given_place() is None:
        for name in DISTRIBUTED_VARIABLES:
            os.environ.pop(name, None)
        rank_zero_only.rank = 0  # type: ignore[attr-defined]
