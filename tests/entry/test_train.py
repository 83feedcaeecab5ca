"""`loom train` as a process: runs and sweeps end in run folders, refusals leave nothing behind."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.run.folder import RunFolder, find_runs
from loomlab.run.metrics_file import read_metrics

Loom = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
Verb = Callable[..., tuple[int, str, str]]
VARIES = {"seconds", "train/tokens_per_second", "system/peak_memory_bytes"}


REFUSED = [
    (["optimizer.lrr=1"], "did you mean lr?"),
    (["model=bert"], "with model=bert use objective=mlm"),
    (["-m", "seed=1,2", "optimizer.lr=0.1,-0.1"], "4 jobs, 2 refused; nothing was started"),
    (["+typo=1"], "there is no such key"),
    (["optimizer=null"], "null is no option"),
]


@pytest.mark.parametrize(("overrides", "words"), REFUSED, ids=str)
def test_refusal_leaves_nothing(
    verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], words: str
):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("LOOM_CACHE", str(tmp_path / "work" / "cache"))
    code, _, said = verb("train", *overrides)
    assert code == 2
    assert words in said
    assert "Traceback" not in said
    assert list((tmp_path / "work").iterdir()) == []


def test_a_process_that_is_refused_leaves_nothing(loom: Loom, work: Path):
    overrides, words = REFUSED[0]
    done = loom("train", *overrides, LOOM_CACHE=str(work / "cache"))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(work.iterdir()) == []


@pytest.mark.slow
def test_sweep_ends_in_a_folder_per_job(loom: Loom, work: Path, tiny: Callable[..., list[str]]):
    given = [o for o in tiny(*SMALL) if "output_dir" not in o]
    sweep = ["optimizer=adamw,sgd", "launch.n_parallel=2", "paths.sweep_dir=swept"]
    done = loom("train", "-m", *given, *sweep)
    assert done.returncode == 0, done.stderr
    runs = find_runs(work / "swept")
    assert [run.path.name[:4] for run in runs] == ["000_", "001_"]
    assert {run.summary()["status"] for run in runs} == {"finished"}
    assert [run.summary()["choice"]["optimizer"] for run in runs] == ["adamw", "sgd"]
    assert {"report.html", "results.csv"} <= {p.name for p in (work / "swept").iterdir()}
    assert all("train.log" in {p.name for p in run.path.iterdir()} for run in runs)


def test_same_seed_gives_the_same_numbers(
    loom: Loom, work: Path, tiny: Callable[..., list[str]], train: Callable[..., RunFolder]
):
    more = [*SMALL, "callbacks=[throughput,checkpoint]"]
    given = [o for o in tiny(*more) if "output_dir" not in o]
    for folder in ("one", "two"):
        done = loom("train", *given, f"paths.output_dir={folder}", "seed=5")
        assert done.returncode == 0, done.stderr
    other = train(*more, "seed=6")
    one, two, three = (
        [{k: v for k, v in row.items() if k not in VARIES} for row in read_metrics(path)]
        for path in (work / "one" / "metrics.csv", work / "two" / "metrics.csv", other.metrics)
    )
    assert one == two
    assert one != three
    weights = [(work / f / "model" / "model.safetensors").read_bytes() for f in ("one", "two")]
    assert weights[0] == weights[1]


def test_option_of_the_user_trains(loom: Loom, work: Path, tiny: Callable[..., list[str]]):
    """One Python file and a YAML of two lines, beside each other, found by --config-dir."""
    (work / "mine.py").write_text(
        "import torch\n\n\nclass Plain(torch.optim.SGD):\n    '''Plain steps.'''\n\n"
        "    def __init__(self, lr: float = 0.1, *, model):\n"
        "        super().__init__(model.parameters(), lr=lr)\n"
    )
    (work / "my_conf" / "optimizer").mkdir(parents=True)
    (work / "my_conf" / "optimizer" / "plain.yaml").write_text(
        "defaults: [/schema/optimizer/plain@_here_, _self_]\n_target_: mine.Plain\n"
    )
    done = loom("train", "--config-dir", "my_conf", *tiny(*SMALL), "optimizer=plain")
    assert done.returncode == 0, done.stderr
    (run,) = find_runs(work.parent / "run")
    assert run.summary()["choice"]["optimizer"] == "plain"
    wrong = loom("train", "--config-dir", "my_conf", "optimizer=plain", "optimizer.lrr=1")
    assert wrong.returncode == 2
    assert "Plain has no setting 'lrr'; did you mean lr?" in wrong.stderr


def test_a_refusal_by_the_data_leaves_nothing(
    verb: Verb, tiny: Callable[..., list[str]], tmp_path: Path
):
    """What only the data can tell: exit code, a sentence, no folder of a run that never was."""
    code, _, said = verb("train", *tiny(*SMALL, "sequence_length=10000000"))
    assert code == 2
    assert "sequence_length" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_hydras_own_flags_work_without_training(loom: Loom, work: Path):
    done = loom("train", "--cfg", "job", "--package", "model", "model.layers=3")
    assert done.returncode == 0, done.stderr
    assert "layers: 3" in done.stdout
    assert list(work.iterdir()) == []
