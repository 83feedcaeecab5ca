"""A plan in the ledger: what is there stays, what changed is said."""

import dataclasses
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from loomlab.errors import InputError
from loomlab.run.alone import RUNNING
from loomlab.run.ledger import DONE, LEDGER, PENDING, REFUSED, Ledger
from loomlab.secrets import MASK
from loomlab.sweep import run
from loomlab.sweep.plan import Plan
from loomlab.sweep.record import record, refuse, secrets_of


@pytest.fixture
def recorded(planned: Callable[..., Plan], tmp_path: Path) -> Callable[..., Ledger]:
    """The ledger after a command line."""

    def run(*overrides: str) -> Ledger:
        return record(planned(*overrides, f"paths.sweep_dir={tmp_path / 'swept'}"), ["--cd"])

    return run


def test_jobs_are_pending_at_first(recorded: Callable[..., Ledger], tmp_path: Path):
    ledger = recorded("seed=1,2", "launch.n_parallel=2")
    assert [(j.number, j.differs, j.state) for j in ledger.jobs()] == [
        (0, {"seed": "1"}, PENDING),
        (1, {"seed": "2"}, PENDING),
    ]
    assert ledger.jobs()[1].overrides == ["seed=2"]
    assert ledger.jobs()[1].folder.startswith("001_seed-2_")
    assert ledger.definition()["flags"] == ["--cd"]


def test_the_same_again_changes_nothing(recorded: Callable[..., Ledger]):
    ledger = recorded("seed=1,2")
    ledger.update(ledger.jobs()[0].key, state=DONE)
    recorded("seed=1,2", "launch.n_parallel=7", "sweep.retry=2", "logger=none")
    assert [j.state for j in ledger.jobs()] == [DONE, PENDING]


def test_sweeps_of_one_second_have_a_folder_each(planned: Callable[..., Plan], tmp_path: Path):
    folders = []
    for seeds in ("1,2", "1,2", "3"):
        made = planned(f"seed={seeds}", f"paths.sweep_dir={tmp_path / '12-00-00'}")
        made.named = False  # as where the moment names it
        folders.append(record(made, []).folder)
        assert made.named
        assert made.folder == folders[-1], "where Hydra is led to"
    assert [folder.name for folder in folders] == ["12-00-00", "12-00-00-2", "12-00-00-3"]
    assert [len(Ledger(folder).jobs()) for folder in folders] == [2, 2, 1]


def test_another_sweep_is_refused_until_it_is_to_be_added(recorded: Callable[..., Ledger]):
    recorded("seed=1,2")
    with pytest.raises(InputError, match=r"no longer given: seed=1,2; now given: seed=1,3"):
        recorded("seed=1,3")
    ledger = recorded("seed=1,3", "sweep.extend=true")
    assert [(j.number, j.differs["seed"]) for j in ledger.jobs()] == [(0, "1"), (1, "2"), (2, "3")]
    assert [j.folder[:4] for j in ledger.jobs()] == ["000_", "001_", "002_"]


def test_other_code_is_another_sweep(recorded: Callable[..., Ledger], monkeypatch):
    recorded("seed=1,2")
    monkeypatch.setattr("loomlab.sweep.plan.code_version", lambda folders: "0.2+abc")
    with pytest.raises(InputError, match=r"the code \(then 0.1.0\+\w+, now 0.2\+abc\)"):
        recorded("seed=1,2")


def test_a_file_that_changed_is_said(recorded: Callable[..., Ledger], tmp_path: Path):
    from loomlab.sweep.identity import _digest

    text = tmp_path / "text.txt"
    text.write_text("one\n")
    command = ["seed=1,2", "corpus=text", f"corpus.path={text}"]
    recorded(*command)
    text.write_text("two\n")
    _digest.cache_clear()
    with pytest.raises(InputError, match="files that are read, or config files"):
        recorded(*command)


def test_refused_jobs_are_on_record(planned: Callable[..., Plan], tmp_path: Path):
    made = planned("model=gpt,bert", "sweep.skip_refused=true", f"paths.sweep_dir={tmp_path}/s")
    ledger = record(made, [])
    for _ in range(2):
        refuse(made, ledger)
    assert [(j.differs["model"], j.state) for j in ledger.jobs()] == [
        ("gpt", PENDING),
        ("bert", REFUSED),
    ]
    assert "with model=bert use objective=mlm" in str(ledger.jobs()[1].message)


def test_secrets_are_kept_out(planned: Callable[..., Plan], tmp_path: Path):
    secret = "hf_planted_secret_1234"
    made = planned(f"+corpus.hf_token={secret}", "seed=1,2", "sweep.skip_refused=true",
                   f"paths.sweep_dir={tmp_path}/s")  # fmt: skip
    made.jobs = [
        dataclasses.replace(
            planned("seed=1,2").jobs[0], overrides=[f"corpus.hf_token={secret}", "seed=1"]
        )
    ]
    ledger = record(made, [])
    assert ledger.jobs()[0].overrides == [f"corpus.hf_token={MASK}", "seed=1"]
    assert secrets_of(made) == {made.jobs[0].key: [f"corpus.hf_token={secret}"]}
    assert all(secret.encode() not in p.read_bytes() for p in ledger.folder.iterdir())


def test_a_folder_that_was_there_keeps_its_mode(planned: Callable[..., Plan], tmp_path: Path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o2775)
    for name, mode in (("shared", 0o2775), ("new", 0o700)):
        ledger = record(planned("seed=1,2", f"paths.sweep_dir={tmp_path / name}"), [])
        assert stat.S_IMODE(ledger.folder.stat().st_mode) == mode


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
    made.folder, made.named = tmp_path / "unnamed" / "12-00-00", False
    assert run.prepare_sweep(made, [])
    assert run.run_recorded() == 5, "the folder that is locked is that of the ledger"
    assert [path.name for path in (tmp_path / "unnamed").iterdir()] == ["12-00-00"]
