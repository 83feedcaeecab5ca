"""Where this process stands among those of its run, as torchrun or srun tells by environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

FIRST_PORT, PORTS = 15000, 15000  # a step of Slurm meets at one of these


@dataclass(frozen=True)
class Place:
    """One process of a run whose processes were all started from outside."""

    starter: str  # torchrun or srun
    rank: int
    local_rank: int
    node: int
    devices: int  # processes of a node
    nodes: int
    address: str
    port: int
    attempt: int  # how often all of them were started again
    port_is_served: bool  # by the agent of torchrun; else the first process does it

    @property
    def world_size(self) -> int:
        """Processes over all nodes."""
        return self.devices * self.nodes


def given_place() -> Place | None:
    """The place of this process; None where the run starts its further processes itself."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _by_torchrun()
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _by_srun()
    return None


def _number(name: str, default: int = 0) -> int:
    return int(os.environ.get(name, default))


def _by_torchrun() -> Place:
    devices = _number("LOCAL_WORLD_SIZE", 1)
    return Place(
        "torchrun",
        rank=_number("RANK"),
        local_rank=_number("LOCAL_RANK"),
        node=_number("GROUP_RANK"),
        devices=devices,
        nodes=max(1, _number("WORLD_SIZE", 1) // devices),
        address=os.environ.get("MASTER_ADDR", "127.0.0.1"),
        port=_number("MASTER_PORT", FIRST_PORT),
        attempt=_number("TORCHELASTIC_RESTART_COUNT"),
        port_is_served=os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def _by_srun() -> Place:
    nodes = _number("SLURM_STEP_NUM_NODES", 1)
    step = _number("SLURM_JOB_ID") * 31 + _number("SLURM_STEP_ID")
    hosts = os.environ.get("SLURM_STEP_NODELIST", "127.0.0.1")
    return Place(
        "srun",
        rank=_number("SLURM_PROCID"),
        local_rank=_number("SLURM_LOCALID"),
        node=_number("SLURM_NODEID"),
        devices=_number("SLURM_STEP_NUM_TASKS", 1) // nodes,
        nodes=nodes,
        address="127.0.0.1" if nodes == 1 else first_host(hosts),
        port=_number("MASTER_PORT", FIRST_PORT + step % PORTS),
        attempt=_number("SLURM_RESTART_COUNT"),
        port_is_served=False,
    )


def first_host(hosts: str) -> str:
    """The first name of a list as Slurm writes it, such as "n[07-09,12],m1"."""
    match = re.match(r"([^\[,\s]+)(?:\[(\w+))?", hosts)
    return "127.0.0.1" if match is None else match[1] + (match[2] or "")
