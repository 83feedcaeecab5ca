"""Searches as a user runs them: real training in real processes, and proposals in the ledger."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.warm import run as run_loom

from loomlab.compose.composer import composing
from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import DONE, INTERRUPTED, PENDING, PRUNED, REFUSED, Job, Ledger
from loomlab.sweep.plan import Plan
from loomlab.sweep.proposals import Proposals, show_search
from loomlab.sweep.record import record
from loomlab.sweep.screen import Screen

LOSS = "val/bits_per_byte"
SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "launch.n_parallel=2"]


@pytest.fixture
def command(tiny: Callable[..., list[str]], tmp_path: Path) -> Callable[..., list[str]]:
    """The command line of a sweep of tiny jobs in the folder `s`."""

    def line(*overrides: str) -> list[str]:
        shared = [o for o in tiny() if not o.startswith("paths.output_dir")]
        folder = f"paths.sweep_dir={tmp_path / 's'}"
        return [sys.executable, "-m", "loomlab", "train", "-m", *shared, *SMALL, folder,
                *overrides]  # fmt: skip

    return line


@pytest.fixture
def swept(command: Callable[..., list[str]], tmp_path: Path) -> Callable[..., str]:
    """Run a sweep to its end; what it printed."""

    def run(*overrides: str, code: int = 0) -> str:
        done = run_loom(command(*overrides)[3:], tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        assert "alembic" not in done.stderr
        assert "Warning" not in done.stderr
        return done.stdout + done.stderr

    return run


def summaries(ledger: Ledger) -> list[dict]:
    return [RunFolder(ledger.folder / job.folder).summary() for job in ledger.jobs()]


@pytest.mark.soak
def test_pareto_search_that_is_given_more_trials(swept: Callable[..., str], tmp_path: Path):
    wanted = ["sweep=optuna", "optimizer=adamw,sgd", "sweep.search=[optimizer]",
              "model.width=16,32", f"sweep.objectives=[{LOSS},parameters]"]  # fmt: skip
    said = swept(*wanted, "sweep.n_trials=2")
    assert "a search of 2 trials" in said
    assert "optimizer.lr (sgd)" in said
    before = Ledger(tmp_path / "s").jobs()
    swept(*wanted, "sweep.n_trials=4")
    ledger = Ledger(tmp_path / "s")
    jobs = ledger.jobs()
    assert [job.number for job in jobs] == [0, 1, 2, 3]
    assert {job.state for job in jobs} == {DONE}
    assert jobs[:2] == before, "those that were done stay as they were"
    assert len({tuple(job.overrides) for job in jobs}) == 4
    values = [(s["best"][LOSS], s["parameters"]) for s in summaries(ledger)]
    beaten = {
        i for i, (loss, size) in enumerate(values) for other in values
        if other != (loss, size) and other[0] <= loss and other[1] <= size
    }  # fmt: skip
    assert set(ledger.definition()["best"]) == {0, 1, 2, 3} - beaten


@pytest.mark.soak
def test_bad_trials_are_ended_across_processes(swept: Callable[..., str], tmp_path: Path):
    # seed 2 of the random sampler draws two good rates, then two at which nothing is learned
    said = swept("sweep=optuna", "sweep.sampler=random", "sweep.seed=2", "sweep.n_trials=4",
                 "sweep.pruner=median", "sweep.startup=1", "optimizer.lr=1e-2,1e-9",
                 "seed=int(interval(1,49))", "budget.steps=40", "trainer.val_every_n_steps=10",
                 "logger=wandb", "logger.wandb.mode=offline")  # fmt: skip
    ledger = Ledger(tmp_path / "s")
    jobs = ledger.jobs()
    assert [(job.differs["optimizer.lr"], job.state) for job in jobs] == [
        ("0.01", DONE), ("0.01", DONE), ("1e-09", PRUNED), ("1e-09", PRUNED)
    ]  # fmt: skip
    assert "pruned in" in said
    for job, summary in zip(jobs, summaries(ledger), strict=True):
        folder = ledger.folder / job.folder
        whole = job.state == DONE
        assert summary["status"] == ("finished" if whole else "pruned")
        assert summary["steps"] == 40 if whole else summary["steps"] < 40
        assert (folder / "model").exists() == whole
        assert job.value == pytest.approx(summary["best"][LOSS])
        verdicts = [verdict for *_, verdict in ledger.reports(job.key)]
        assert verdicts[-1] != "prune" if whole else verdicts[-1] == "prune"
        assert _exit_code(folder) == 0


def _exit_code(folder: Path) -> int:
    """How the offline W&B run of a job ended."""
    (file,) = (folder / "wandb").glob("offline-run-*")
    leet = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    lines = subprocess.run(leet, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return next(r["exit"]["exit_code"] for r in found if r["type"] == "exit")


@pytest.mark.slow
def test_numbers_that_are_none_end_nothing(swept: Callable[..., str], tmp_path: Path):
    swept("sweep=optuna", "optimizer=sgd", "optimizer.lr=choice(1e9)", "seed=1,2",
          "sweep.n_trials=2", "budget.steps=6", "sweep.sampler=random",
          "sweep.seed=3", code=0)  # fmt: skip
    ledger = Ledger(tmp_path / "s")
    assert ledger.definition()["best"] == []
    for job, summary in zip(ledger.jobs(), summaries(ledger), strict=True):
        assert job.state == DONE
        assert job.value is None
        assert summary["best"][LOSS] is None


@pytest.mark.soak
def test_an_interrupted_trial_goes_on_as_the_same_one(
    command: Callable[..., list[str]], swept: Callable[..., str], tmp_path: Path
):
    wanted = ["sweep=optuna", "optimizer.lr=tag(log,interval(1e-3,1e-2))", "sweep.n_trials=1",
              "budget.steps=4000", "callbacks=[checkpoint]",
              "callbacks.checkpoint.every_n_train_steps=50"]  # fmt: skip
    with subprocess.Popen(command(*wanted), cwd=tmp_path, stdout=subprocess.DEVNULL) as first:
        end = time.monotonic() + PATIENCE
        while not list(tmp_path.glob("s/*/checkpoints/*.ckpt")):
            assert first.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        os.kill(first.pid, signal.SIGINT)
    assert first.returncode == 130
    (job,) = Ledger(tmp_path / "s").jobs()
    assert job.state == INTERRUPTED
    said = swept(*wanted)
    assert "1 trials; best:" in said
    (after,) = Ledger(tmp_path / "s").jobs()
    assert (after.number, after.key, after.state, after.attempts) == (0, job.key, DONE, 2)
    assert Ledger(tmp_path / "s").definition()["best"] == [0]


@pytest.mark.soak
def test_a_search_that_is_killed_ends_with_its_trials_and_none_twice(
    command: Callable[..., list[str]], swept: Callable[..., str], tmp_path: Path
):
    wanted = ["sweep=optuna", "optimizer.lr=tag(log,interval(1e-3,1e-2))", "sweep.n_trials=5",
              "model.dropout=interval(0,0.5)"]  # fmt: skip
    with subprocess.Popen(command(*wanted), cwd=tmp_path, stdout=subprocess.DEVNULL) as first:
        end = time.monotonic() + PATIENCE
        while not (tmp_path / "s" / "ledger.sqlite").exists() or DONE not in {
            job.state for job in Ledger(tmp_path / "s").jobs()
        }:
            assert first.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        first.kill()
    before = [job for job in Ledger(tmp_path / "s").jobs() if job.state == DONE]
    assert 0 < len(before) < 5
    assert "5 trials; best:" in swept(*wanted)
    after = Ledger(tmp_path / "s").jobs()
    assert [(job.number, job.state) for job in after] == [(number, DONE) for number in range(5)]
    assert len({tuple(job.overrides) for job in after}) == 5
    assert [job for job in after if job.key in {old.key for old in before}] == before


@pytest.fixture
def proposed(planned: Callable[..., Plan], tmp_path: Path) -> Callable[..., list[Job]]:
    """Rows of proposals to the search of a command line, by number."""

    def propose(overrides: list[str], *jobs: list[str]) -> list[Job]:
        plan = planned("sweep=optuna", f"paths.sweep_dir={tmp_path / 's'}", *overrides)
        show_search(plan, Screen())
        enlist = Proposals(plan, record(plan, []), [], secrets)
        with composing() as enlist.loader:
            fixed = plan.sweep.space.fixed  # type: ignore[attr-defined]
            return [enlist(number, [*fixed, *job]) for number, job in enumerate(jobs)]

    secrets: dict[str, list[str]] = {}
    propose.secrets = secrets  # type: ignore[attr-defined]
    return propose


def test_proposals_are_checked_named_and_put_down(proposed: Callable[..., list[Job]]):
    first, bad, same = proposed(
        ["optimizer.lr=interval(0.1,1)", "model.width=64,128", "model.layers=2"],
        ["model.width=64", "optimizer.lr=0.5"],
        ["model.width=65", "optimizer.lr=0.5"],
        ["model.width=64", "optimizer.lr=0.50"],
    )
    assert (first.number, first.state) == (0, PENDING)
    assert first.differs == {"model.width": "64", "optimizer.lr": "0.5"}
    assert first.overrides == ["model.layers=2", "model.width=64", "optimizer.lr=0.5"]
    assert first.folder.startswith("000_width-64_lr-0.5_")
    assert first.tokens == 1000 * 16 * 256
    assert (bad.number, bad.state) == (1, REFUSED)
    assert "65 is not a multiple of heads=4" in (bad.message or "")
    assert same == first, "the same job has one row"


SENDER = """
import pytorch_lightning as pl
class Sender(pl.Callback):
    def __init__(self, access_token: str = "") -> None:
        pass
"""


def test_secrets_are_kept_out_of_the_ledger(
    proposed: Callable[..., list[Job]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "conf" / "callbacks").mkdir(parents=True)
    (tmp_path / "sender.py").write_text(SENDER)
    head = "# @package callbacks.sender\ndefaults: [/schema/callbacks/sender@_here_, _self_]\n"
    option = tmp_path / "conf" / "callbacks" / "sender.yaml"
    option.write_text(f"{head}_target_: sender.Sender\n")
    monkeypatch.setenv("LOOM_CONF", str(tmp_path / "conf"))
    given = ["callbacks=[sender]", "callbacks.sender.access_token=very-secret-text"]
    (job,) = proposed(["seed=1,2", *given], ["seed=1"])
    assert job.state == PENDING
    assert job.overrides == ["callbacks=[sender]", "callbacks.sender.access_token=***", "seed=1"]
    assert proposed.secrets == {job.key: given[1:]}  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="access_token: a secret cannot be searched"):
        proposed(["callbacks=[sender]", "callbacks.sender.access_token=one,two"])


def test_what_is_refused_in_advance_is_named_with_its_choices(planned: Callable[..., Plan]):
    plan = planned("sweep=optuna", "optimizer=adamw,sgd", "optimizer.momentum=interval(0.5,1)")
    with pytest.raises(InputError) as refusal:
        show_search(plan, Screen())
    said = str(refusal.value)
    assert "4 of 4 are refused" in said or "3 of 4 are refused" in said
    assert "AdamW has no setting 'momentum'" in said
    assert "(with optimizer=adamw optimizer.momentum=0.5)" in said
    assert "optimizer.momentum: 1.0 is outside [0, 1)" in said


def test_what_is_refused_may_be_left_to_the_search(
    planned: Callable[..., Plan], capsys: pytest.CaptureFixture[str]
):
    plan = planned("sweep=optuna", "model=gpt,bert", "seed=1,2", "sweep.skip_refused=true",
                   "sweep.n_trials=10", "budget.steps=100,200")  # fmt: skip
    show_search(plan, Screen())
    said = capsys.readouterr().out
    assert "2 of 4 are refused; their trials count as bad" in said
    assert f"at most {10 * 200 * 16 * 256:,} in all" in said
