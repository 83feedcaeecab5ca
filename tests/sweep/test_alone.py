"""One command at a time conducts a sweep: a second one is refused, and has changed nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from loomlab.errors import InputError
from loomlab.run.alone import RUNNING
from loomlab.run.ledger import LEDGER, Ledger
from loomlab.sweep import run
from loomlab.sweep.plan import Plan

HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("process 7 on there", file=file, end="", flush=True)
    print("in", flush=True)
    sys.stdin.read()
"""


def test_a_second_command_on_a_sweep_that_runs_is_refused(
    planned: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = planned("seed=1,2", f"paths.sweep_dir={tmp_path}")
    command = [sys.executable, "-c", HOLDER, str(tmp_path / RUNNING)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"in\n"
        with pytest.raises(InputError, match=f"^{tmp_path} is being run by process 7 on there"):
            run.prepare_sweep(made, [])
        assert not (tmp_path / LEDGER).exists()
        first.kill()
        first.wait(PATIENCE)

    class Conductor:
        def __init__(self, ledger: Ledger, *_: object) -> None:
            self.folder = ledger.folder

        def run(self) -> int:
            assert f"process {os.getpid()} on" in (self.folder / RUNNING).read_text()
            return 5

    monkeypatch.setattr(run, "Conductor", Conductor)
    monkeypatch.setattr(run, "_conclude", lambda *_: None)
    assert run.prepare_sweep(made, []), "the first was killed"
    assert run.run_recorded() == 5
    assert not (tmp_path / RUNNING).exists()
    assert len(Ledger(tmp_path).jobs()) == 2
