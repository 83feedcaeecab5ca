"""Two torchruns, as on two nodes: one run, which goes on after a process was killed."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import wait_until
from tests.warm import WarmProcess

from loomlab.errors import InputError
from loomlab.parallelism.launcher import WorkerLauncher
from loomlab.parallelism.meeting import GivenEnvironment, cluster_environment
from loomlab.parallelism.place import Place
from loomlab.parallelism.roll_call import read
from loomlab.run.folder import RunFolder, find_runs
from loomlab.run.metrics_file import read_metrics

STEPS = 80
SMALL = [
    "model.layers=2", "model.width=16", "model.heads=2", "runtime=plain", f"budget.steps={STEPS}",
    "trainer.val_every_n_steps=40", "callbacks=[checkpoint]",
    "callbacks.checkpoint.every_n_train_steps=1",
]  # fmt: skip
Agents = Callable[..., list[WarmProcess]]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def agents(tmp_path: Path, warm: Callable[..., WarmProcess]) -> Agents:
    """Two torchruns that make one group on this machine."""

    def run(*overrides: str) -> list[WarmProcess]:
        given = [
            "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d",
            f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--rdzv-id=test",
            "--local-addr=127.0.0.1", "--max-restarts=1", "-m", "loomlab", "train", *overrides,
        ]  # fmt: skip
        module = "tests.warm_agents"
        return [warm(given, tmp_path, together=True, module=module) for _ in range(2)]

    return run


@pytest.mark.slow
def test_two_nodes_are_one_run_and_survive_a_kill(
    agents: Agents, train: Callable[..., RunFolder], tiny: Callable[..., list[str]], tmp_path: Path
):
    given = [o for o in tiny(*SMALL) if "output_dir" not in o]
    both = agents(*given, "parallelism=ddp")
    found = lambda: find_runs(tmp_path / "outputs")  # noqa: E731
    wait_until(lambda: bool(found()) and found()[0].metrics.is_file())
    (folder,) = found()
    wait_until(lambda: len(read_metrics(folder.metrics)) > 3)
    second = read(folder.path, 1)
    assert second is not None
    os.kill(second.pid, signal.SIGKILL)
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(said)
    assert len(found()) == 1
    assert folder.summary()["status"] == "finished"
    assert "resuming from step" in (folder.path / "train.log").read_text()
    config = folder.config()
    assert (config.parallelism.devices, config.parallelism.num_nodes) == (1, 2)
    assert sum("everything is in" in text for text in said) == 1, "one process speaks"
    alone = train(*SMALL, folder="alone")
    rows, others = read_metrics(alone.metrics), read_metrics(folder.metrics)
    assert [row["step"] for row in others] == list(range(1, STEPS + 1))
    for row, other in zip(rows, others, strict=True):
        assert other["train/loss"] == pytest.approx(row["train/loss"], abs=1e-5)


PLACE = Place("srun", 1, 0, 1, 1, 2, "n1", 1, 0, False)


def test_what_lightning_is_told(monkeypatch: pytest.MonkeyPatch):
    environment = GivenEnvironment(PLACE)
    assert environment.creates_processes_externally
    assert (environment.global_rank(), environment.world_size()) == (1, 2)
    assert (environment.local_rank(), environment.node_rank()) == (0, 1)
    environment.validate_settings(1, 2)
    with pytest.raises(InputError, match="not what srun has started: leave both out"):
        environment.validate_settings(2, 1)
    assert not cluster_environment().creates_processes_externally


def test_other_nodes_are_not_reached_from_here(tmp_path: Path):
    launcher = WorkerLauncher(tmp_path, cluster_environment(), 1, 2)
    with pytest.raises(InputError, match="are started by torchrun or srun"):
        launcher.launch(lambda: None, trainer=None)
