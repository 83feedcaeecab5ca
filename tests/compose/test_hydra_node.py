"""What runs is what the gates have seen, whatever Hydra would make of its own settings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.compose.hydra_node import command_line, flags_of_jobs
from loomlab.run.folder import RunFolder
from loomlab.sweep.plan import plan

Ended = Callable[..., tuple[int, str]]
PARAMS = 'hydra: {sweeper: {params: {seed: "1,2", optimizer: "adamw, sgd"}}}'
FILES = {
    "params": PARAMS,
    "mode": "hydra: {mode: MULTIRUN}",
    "written": PARAMS.replace("{sweeper", "{mode: MULTIRUN, sweeper"),
    "bad": 'hydra: {mode: MULTIRUN, sweeper: {params: {seed: "[1"}}}',
    "launcher": "hydra: {launcher: {_target_: hydra._internal.core_plugins.x.Other}}",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with experiments; what is composed in one folder is remembered."""
    place = tmp_path_factory.mktemp("place")
    (place / "conf" / "experiment").mkdir(parents=True)
    for name, text in FILES.items():
        path = place / "conf" / "experiment" / f"{name}.yaml"
        path.write_text(f"# @package _global_\n{text}\n")
    return place


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["experiment=params"], "hydra.sweeper.params: it says what to sweep, and this is one"),
        (["+hydra.sweeper.params.seed='1,2'"], "add -m, or set hydra.mode: MULTIRUN there"),
        (["experiment=mode", "resume=x"], "resume=x: no run folder is there"),
        (["experiment=mode", "seed=1,x"], "2 jobs, 1 refused; nothing was started"),
        (["experiment=bad"], "seed=[1: cannot be read as an override"),
        (["hydra/sweeper=basic"], "hydra.sweeper: loom runs its sweeps itself"),
        (["experiment=launcher"], "hydra.launcher: loom runs its sweeps itself"),
        (["--config-name", "mine"], "choose it by experiment=mine"),
        (["--config-name=mine", "--cfg", "job"], "choose it by experiment=mine"),
        (["-m", "-cn", "mine", "seed=1,2"], "choose it by experiment=mine"),
        (["--config-path", "/tmp"], "--config-dir /tmp"),
        (["--experimental-rerun", "x.pickle"], "a stopped run goes on by resume=RUN_DIR"),
        (["--config-dir", "/no/such"], "--config-dir /no/such: there is no such folder"),
        (["--run", "-m"], "leave one out"),
        (["seed=1", "--nosuch", "optimizer=sgd"], "there is no flag --nosuch; see `loom"),
    ],
    ids=str,
)
def test_what_hydra_would_run_otherwise_is_refused(
    ended: Ended, place: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], words: str
):
    monkeypatch.chdir(place)
    for verb in ("validate", "train"):
        code, said = ended(verb, *given)
        assert code == 2, said
        assert words in said
        assert "Traceback" not in said
    assert [p.name for p in place.iterdir()] == ["conf"], "nothing was started"


def test_overrides_stand_before_and_after_flags():
    argv, given = command_line(
        ["seed=1,2", "-m", "--config-dir", "/tmp", "optimizer=sgd"], "train"
    )
    assert argv == ["-m", "--config-dir", "/tmp", "seed=1,2", "optimizer=sgd"]
    assert given.multirun
    assert given.overrides == ["seed=1,2", "optimizer=sgd"]


def test_jobs_find_options_where_their_sweep_does():
    overrides = ["hydra.searchpath=[file:///x]", "seed=1,2"]
    argv = ["--config-dir", "/y", "-m", *overrides]
    assert flags_of_jobs(argv, overrides) == ["--config-dir", "/y", "hydra.searchpath=[file:///x]"]


def test_logging_is_hydras_to_turn_off(
    ended: Ended, tiny: Callable[..., list[str]], tmp_path: Path
):
    small = ["model.layers=1", "model.width=16", "model.heads=2", "budget.steps=1"]
    code, said = ended("train", *tiny(*small, "hydra/job_logging=disabled"))
    assert code == 0, said
    assert RunFolder(tmp_path / "run").summary()["status"] == "finished"
    assert not (tmp_path / "run" / "train.log").exists()


TYPED = ["seed=1,2", "optimizer=adamw,sgd"]


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        (["-m", "experiment=params"], ["experiment=params", *TYPED]),
        (["hydra.mode=MULTIRUN", *TYPED], TYPED),
        (["experiment=written", "seed=5"], ["experiment=written", TYPED[1], "seed=5"]),
    ],
    ids=str,
)
def test_a_sweep_in_a_config_is_the_sweep_typed(
    ended: Ended, place: Path, monkeypatch: pytest.MonkeyPatch, written: list[str],
    typed: list[str],
):  # fmt: skip
    """The same jobs, by name and by hash, wherever it is said that and what is swept."""
    monkeypatch.chdir(place)
    plans = [plan(typed)]
    monkeypatch.setattr("loomlab.sweep.run.prepare_sweep", lambda made, _: plans.append(made))
    assert ended("train", *written) == (0, "")
    rows = [[(j.number, j.key, j.folder, j.differs) for j in made.jobs] for made in plans]
    assert rows[0] == rows[1]
    assert len(rows[0]) == (2 if "seed=5" in written else 4)
    assert not plans[1].checked.problems
    assert not plans[1].same, "what is typed stands in the place of what is written"


def test_its_jobs_are_single_runs(
    ended: Ended, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(place)
    (job, *_) = plan(["experiment=written"]).jobs
    trained: list[list[str]] = []
    monkeypatch.setattr("loomlab.entry.train.run_once", lambda argv, _: trained.append(argv))
    code, said = ended("train", *job.overrides, f"paths.output_dir={tmp_path / 'run'}")
    assert (code, said) == (0, "")
    assert "optimizer=adamw" in trained[0]
