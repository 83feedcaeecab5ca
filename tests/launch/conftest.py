"""Shared by the tests of launchers: small tasks, and a Slurm that is started for the tests."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from tests.patience import PATIENCE

from loomlab.launch.base import Ended, Launch, Task

PACKAGES = ("slurm-wlm", "munge")
CONFIG = """
ClusterName=loom
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
KillWait=3
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=1000 Port={ports[1]} State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


def task(key: str, code: str, folder: Path, **environment: str) -> Task:
    return Task(key, [sys.executable, "-c", code], folder / key / "log", environment)


def ended(launch: Launch, count: int, seconds: float = PATIENCE) -> dict[str, Ended]:
    """Wait until so many tasks have ended."""
    found: dict[str, Ended] = {}
    end = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end, found
        found |= {e.key: e for e in launch.poll()}
        time.sleep(0.05)
    return found


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def tasks() -> tuple[Callable[..., Task], Callable[..., dict[str, Ended]], Callable[..., None]]:
    """Make a task of some code, wait for ends, wait for anything."""
    return task, ended, until


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Launch], Launch]]:
    """A launcher that is open for a sweep's folder; closed in the end."""
    with contextlib.ExitStack() as stack:

        def make(launch: Launch) -> Launch:
            launch.open(tmp_path)
            stack.callback(launch.close)
            return launch

        yield make


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Slurm of one node without systemd; SLURM_CONF leads to it. Its folder."""
    require_packages(tmp_path_factory.getbasetemp().parent)
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))  # short: a socket's path is
    folder.chmod(0o711)
    processes: list[subprocess.Popen[bytes]] = []
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        start(folder, processes)
        yield folder
        subprocess.run(["scancel", "--user=root"], check=False)
        until(lambda: not queued())
    finally:
        for process in reversed(processes):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
        os.environ.pop("SLURM_CONF") if before is None else os.environ.update(SLURM_CONF=before)
        shutil.rmtree(folder, ignore_errors=True)


def require_packages(shared: Path) -> None:
    """Install Slurm if this is root of a Debian, else skip by name."""
    needed = ("slurmctld", "slurmd", "munged", "sbatch")
    missing = lambda: [n for n in needed if shutil.which(n) is None]  # noqa: E731
    with FileLock(shared / "slurm.lock"):
        if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            for arguments in (["update"], ["install", "--no-install-recommends", *PACKAGES]):
                subprocess.run(
                    ["apt-get", "-qq", "-y", *arguments], env=environment, check=False,
                    capture_output=True, timeout=PATIENCE,
                )  # fmt: skip
    if missing():
        pytest.skip(f"no Slurm here: {', '.join(PACKAGES)} (missing: {', '.join(missing())})")
    if os.geteuid() != 0:
        pytest.skip("a Slurm for tests is started by root only")


def start(folder: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(256))
    key.chmod(0o600)
    cores = max(4, os.cpu_count() or 1)  # more than there are: tests wait, they do not compute
    text = CONFIG.format(folder=folder, host=host, ports=free_ports(2), cores=cores)
    (folder / "slurm.conf").write_text(text + "SlurmdParameters=config_overrides\n")
    (folder / "cgroup.conf").write_text(cgroups())
    munge = [f"--{n}={folder}/munge.{n.split('-')[0]}"
             for n in ("key-file", "socket", "pid-file", "log-file", "seed-file")]  # fmt: skip
    for command in (
        ["munged", "--foreground", "--force", "--num-threads=2", *munge],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", host],
    ):
        if command[0] == "slurmctld":
            until((folder / "munge.socket").exists, 20)
        with (folder / f"{command[0]}.out").open("wb") as out:
            processes.append(subprocess.Popen(command, stdout=out, stderr=out))
    deadline = time.monotonic() + PATIENCE
    while "idle" not in output("sinfo", "--noheader", "--format=%T"):
        if time.monotonic() > deadline or any(p.poll() is not None for p in processes):
            said = "\n".join(p.read_text()[-800:] for p in folder.glob("*.out"))
            pytest.skip(f"Slurm does not start on this machine:\n{said}")
        time.sleep(0.1)


def cgroups() -> str:
    """Slurm looks for cgroups even when it is not to use them."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n"
    return "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n"


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def queued() -> list[list[str]]:
    """Id, state and name of the jobs that have not ended."""
    return [line.split() for line in output("squeue", "-h", "-r", "-o", "%i %T %j").splitlines()]
