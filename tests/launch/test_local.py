"""Jobs as processes of this machine: one that will not listen can be killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from loomlab.launch.base import Launch
from loomlab.launch.local import Local


def test_one_that_will_not_listen_is_killed_with_its_children(
    opened: Callable[[Launch], Launch], tasks: tuple[Callable, ...], tmp_path: Path
):
    task, ended, until = tasks
    code = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True)\n"
        "time.sleep(60)"
    )
    launch = opened(Local())
    launch.submit([task("a", code, tmp_path)])
    log = tmp_path / "a" / "log"
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    launch.stop(kill=False)
    assert launch.poll() == []
    launch.stop(kill=True)
    assert ended(launch, 1)["a"].exit_code == -signal.SIGKILL
    child = log.read_text().strip()
    until(lambda: gone_or_zombie(child), 10)


def gone_or_zombie(pid: str) -> bool:
    path = f"/proc/{pid}/stat"
    return not os.path.exists(path) or Path(path).read_text().rpartition(")")[2].split()[0] == "Z"
