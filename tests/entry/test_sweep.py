"""`loom sweep`: how a sweep stands, from another shell."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.run.ledger import DONE, FAILED, RUNNING, Job, Ledger

Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    """A sweep of which one job is done and one runs."""
    ledger = Ledger(tmp_path / "swept")
    ledger.add([
        Job("a", 0, "000", [], {"seed": "1"}, state=DONE, metric="val/loss", value=2.5),
        Job("b", 1, "001", [], {"seed": "2"}, state=RUNNING, tokens=4000, attempts=1),
    ])  # fmt: skip
    (ledger.folder / "001").mkdir()
    (ledger.folder / "001" / "metrics.csv").write_text(
        "step,tokens,flops,seconds,val/loss\n10,1000,9,20.0,3.25\n"
    )
    return ledger.folder


@pytest.mark.parametrize("word", ["status", "show"])
def test_status_has_step_metric_and_time_left(verb: Verb, swept: Path, word: str):
    code, out, err = verb("sweep", word, swept)
    assert (code, err) == (0, "")
    assert "2 jobs: 1 done, 1 running" in out
    done, running = (line.replace(" ", "").strip("\u2502").split("\u2502")
                     for line in out.splitlines() if line.startswith("\u2502"))  # fmt: skip
    assert done[:5] == ["000", "1", "-", "2.5", "-"]
    assert running[:5] == ["001", "2", "10", "3.25", "60s"]


def test_a_running_job_that_is_not_heard_of_says_so(verb: Verb, swept: Path):
    Ledger(swept).update("b", heartbeat=time.time() - 600, started=time.time() - 900)
    _, out, _ = verb("sweep", "status", swept)
    assert "heard of" in " ".join(out.split())
    Ledger(swept).update("b", heartbeat=time.time())
    assert "heard of" not in verb("sweep", "status", swept)[1]


def test_a_failed_job_is_in_the_exit_code(verb: Verb, swept: Path):
    Ledger(swept).update("b", state=FAILED, error_type="SIGKILL", message="killed")
    code, out, _ = verb("sweep", "status", swept)
    assert code == 1
    assert "2 jobs: 1 done, 1 failed" in out
    assert "SIGKILL" in out


def test_a_folder_of_no_sweep_is_refused(verb: Verb, tmp_path: Path):
    code, _, err = verb("sweep", "status", tmp_path)
    assert code == 2
    assert "is no folder of a sweep (it has no ledger.sqlite)" in err
    assert [p.name for p in tmp_path.iterdir()] == []
