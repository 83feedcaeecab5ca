"""What runs is what the gates have seen, whatever Hydra would make of its own settings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.compose.hydra_node import command_line, flags_of_jobs
from loomlab.run.folder import RunFolder

Ended = Callable[..., tuple[int, str]]
PARAMS = 'hydra: {sweeper: {params: {seed: "1,2", optimizer: "adamw, sgd"}}}'
FILES = {
    "params": PARAMS,
    "mode": "hydra: {mode: MULTIRUN}",
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
        (["experiment=params"], "write loom train -m seed=1,2 'optimizer=adamw, sgd'"),
        (["-m", "experiment=params"], "hydra.sweeper.params: what to sweep is said on the comm"),
        (["+hydra.sweeper.params.seed='1,2'"], "write loom train -m seed=1,2"),
        (["experiment=mode"], "hydra.mode: a sweep is asked for by -m; leave it out"),
        (["-m", "seed=1,2", "experiment=mode"], "hydra.mode: a sweep is asked for by -m"),
        (["hydra.mode=MULTIRUN"], "hydra.mode: a sweep is asked for by -m; leave it out"),
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
