"""Jobs as tasks of Ray: what is set aside for them, a lost worker, a cluster that is not there."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.launch.base import Launch
from loomlab.launch.ray import Ray

pytestmark = pytest.mark.soak  # Ray takes many seconds to start


def test_a_lost_worker_is_told(
    opened: Callable[[Launch], Launch], tasks: tuple[Callable, ...], tmp_path: Path
):
    task, ended, until = tasks
    launch = opened(Ray(n_parallel=2, num_cpus=0.5))
    code = "import os, json, time; print(json.dumps([os.getpid(), os.getppid()]), flush=True)\n"
    launch.submit([task("a", code + "time.sleep(60)", tmp_path), task("b", "pass", tmp_path)])
    assert ended(launch, 1)["b"].exit_code == 0
    log = tmp_path / "a" / "log"
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    os.kill(json.loads(log.read_text())[1], signal.SIGKILL)
    end = ended(launch, 1)["a"]
    assert end.exit_code is None
    assert end.message.startswith("Ray lost it: ")


def test_a_cluster_that_is_not_there(opened: Callable[[Launch], Launch]):
    with pytest.raises(InputError, match=r"^launch\.address=auto: "):
        opened(Ray(address="auto"))
