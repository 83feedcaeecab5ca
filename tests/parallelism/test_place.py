"""What torchrun and srun tell a process of its place."""

import pytest

from loomlab.parallelism.base import global_rank
from loomlab.parallelism.place import first_host, given_place

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x", "RANK": "3", "LOCAL_RANK": "1", "GROUP_RANK": "1",
    "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "n1", "MASTER_PORT": "29500",
    "TORCHELASTIC_RESTART_COUNT": "2", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip
SRUN = {
    "SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NUM_NODES": "3", "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1", "SLURM_NODEID": "2", "SLURM_STEP_NODELIST": "n[07-09]",
    "SLURM_JOB_ID": "12", "SLURM_STEP_ID": "1",
}  # fmt: skip


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_started_by_torchrun(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, TORCHRUN)
    place = given_place()
    assert place is not None
    assert (place.rank, place.local_rank, place.node) == (3, 1, 1)
    assert (place.devices, place.nodes, place.world_size) == (2, 2, 4)
    assert (place.address, place.port, place.port_is_served) == ("n1", 29500, True)
    assert (place.starter, place.attempt) == ("torchrun", 2)
    assert global_rank(1) == 3


def test_started_by_srun(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, SRUN)
    place = given_place()
    assert place is not None
    assert (place.rank, place.local_rank, place.node) == (5, 1, 2)
    assert (place.devices, place.nodes, place.world_size) == (2, 3, 6)
    assert (place.address, place.attempt, place.port_is_served) == ("n07", 0, False)
    monkeypatch.setenv("SLURM_STEP_ID", "2")
    other = given_place()
    assert other is not None
    assert place.port != other.port, "two steps of a job do not meet"


def test_a_single_task_of_slurm_starts_its_processes_itself(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, SRUN | {"SLURM_STEP_NUM_TASKS": "1"})
    assert given_place() is None
    assert global_rank(2) == 0


@pytest.mark.parametrize(
    ("hosts", "first"),
    [("a", "a"), ("n[07-09,12],m1", "n07"), ("gpu-1,gpu-2", "gpu-1"), ("", "127.0.0.1")],
)
def test_first_host(hosts: str, first: str):
    assert first_host(hosts) == first
