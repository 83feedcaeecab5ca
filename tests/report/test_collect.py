"""Real runs and sweeps as rows, whatever state they are in."""

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.report.collect import collect
from loomlab.report.row import UNKNOWN
from loomlab.report.settings import differing
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import DONE, FAILED, INTERRUPTED, PENDING, REFUSED, RUNNING, Job, Ledger

Train = Callable[..., RunFolder]
ALICE = Path(__file__).parents[1] / "data" / "alice.txt"
TINY = [
    "corpus=text", f"corpus.path={ALICE}", "tokenizer=byte", "sequence_length=16",
    "global_batch_size=4", "budget.steps=2", "logger=none", "callbacks=[]",
    "precision=fp32",
    "trainer.limit_val_batches=2", "trainer.log_every_n_steps=1",
]  # fmt: skip
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


@pytest.fixture(scope="module")
def trained(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `optimizer=adamw seed=0` and one of `optimizer=sgd seed=1`, trained once."""
    from loomlab.compose.composer import compose_job, composing
    from loomlab.run.prepared import record_choice
    from loomlab.run.session import execute

    base = tmp_path_factory.mktemp("trained")
    for number, optimizer in enumerate(("adamw", "sgd")):
        given = [f"optimizer={optimizer}", f"seed={number}"]
        run = RunFolder(base / f"{number:03d}_job")
        places = [f"paths.cache_dir={cache_dir}", f"paths.output_dir={run.path}"]
        with composing():
            config = record_choice(compose_job([*TINY, *SMALL, *given, *places]))
        run.create(config, given)
        execute(config, run)
    return base


@pytest.fixture
def sweep(trained: Path, tmp_path: Path) -> Path:
    """The folder of a sweep with a job in every state; two of them have trained."""
    folder = tmp_path / "sweep"
    shutil.copytree(trained, folder)
    jobs = []
    for number, state in enumerate((DONE, FAILED, RUNNING, INTERRUPTED, PENDING, REFUSED)):
        overrides = [f"optimizer={'sgd' if number % 2 else 'adamw'}", f"seed={number}"]
        differs = dict(o.split("=") for o in overrides)
        name = "" if state == REFUSED else f"{number:03d}_job"
        jobs.append(Job(f"key{number}", number, name, overrides, differs, state=state))
    ledger = Ledger(folder)
    ledger.add(jobs)
    (folder / "001_job" / "summary.json").write_text('{"status": "failed", "error": "x"}')
    ledger.update("key1", error_type="RuntimeError", message="the disk spoke")
    ledger.update("key5", error_type="InputError", message="optimizer.lr is negative")
    return folder


def changed(run: RunFolder, **entries: object) -> None:
    """Change entries of a recorded summary; None takes one out."""
    path = run.path / "summary.json"
    content = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_a_finished_run(train: Train, tmp_path: Path):
    run = train(*SMALL, "optimizer.lr=0.01", "seed=7")
    (row,) = collect([tmp_path])
    summary = run.summary()
    assert (row.name, row.state, row.seed, row.message) == ("run", DONE, 7, "")
    assert (row.metric, row.best) == ("val/bits_per_byte", summary["best"])
    assert row.choice["optimizer"] == row.settings.values["optimizer"] == "adamw"
    assert row.settings.values["optimizer.lr"] == 0.01
    assert "optimizer.lr" in row.settings.given
    weights = (run.model / "model.safetensors").stat().st_size
    assert row.costs == {
        "parameters": summary["parameters"], "bytes": weights, "tokens": 128,
        "flops": summary["flops"], "seconds": summary["training_seconds"],
        "peak_memory_bytes": summary["peak_memory_bytes"],
    }  # fmt: skip
    assert row.number("val/loss") == summary["best"]["val/loss"]
    assert (row.number("tokens"), row.number("else")) == (128, None)


def test_every_job_of_a_sweep_in_its_state(sweep: Path):
    rows = collect([sweep])
    assert [row.state for row in rows] == [job.state for job in Ledger(sweep).jobs()]
    assert [row.name for row in rows] == [f"{n:03d}" for n in range(6)]
    assert [row.seed for row in rows] == list(range(6))
    assert rows[1].message == "RuntimeError: the disk spoke"
    assert rows[5].message == "optimizer.lr is negative"
    assert rows[4].settings.values == {"optimizer": "adamw"}
    assert differing([row.settings for row in rows]) == ["optimizer"]
    assert rows[1].best, "the best until it failed"
    assert not rows[2].best


def test_one_job_of_a_sweep_alone_is_known_to_its_ledger(sweep: Path):
    (row,) = collect([sweep / "001_job"])
    assert (row.state, row.name) == (FAILED, "001_job")
    assert row.message == "RuntimeError: the disk spoke"


def test_a_run_finished_by_hand_is_done_whatever_the_ledger_says(sweep: Path):
    Ledger(sweep).update("key0", state=FAILED, message="killed")
    assert collect([sweep])[0].state == DONE


def test_a_job_that_went_silent(sweep: Path):
    Ledger(sweep).update("key2", heartbeat=time.time() - 300)
    assert collect([sweep])[2].message.startswith("not heard of for 30")
    Ledger(sweep).beat("key2")
    assert collect([sweep])[2].message == ""


def test_each_run_once_and_names_told_apart(sweep: Path, tmp_path: Path):
    shutil.copytree(sweep, tmp_path / "again")
    assert len(collect([sweep, sweep, sweep / "000_job", tmp_path])) == 12
    names = [row.name for row in collect([sweep, tmp_path / "again"])]
    assert len(set(names)) == 12
    assert {"sweep/001", "again/001"} < set(names)


def test_a_running_run_has_its_numbers_so_far(train: Train, tmp_path: Path):
    run = train(*SMALL, "budget.steps=4", "trainer.val_every_n_steps=1", folder="a/run")
    later = ("best", "final", "parameters", "tokens", "flops", "training_seconds")
    changed(run, status="running", **dict.fromkeys(later))
    lines = run.metrics.read_text().splitlines()
    run.metrics.write_text("\n".join(lines)[:-3])
    (row,) = collect([tmp_path / "a"])
    column = lines[0].split(",").index("val/loss")
    held_out = [float(c) for line in lines[1:-1] if (c := line.split(",")[column])]
    assert (row.state, row.best["val/loss"]) == (RUNNING, min(held_out))
    assert row.final["val/loss"] == held_out[-1]
    accuracy = lines[0].split(",").index("val/accuracy")
    accuracies = [float(c) for line in lines[1:-1] if (c := line.split(",")[accuracy])]
    assert row.best["val/accuracy"] == max(accuracies)
    assert "parameters" not in row.costs
    assert row.costs["tokens"] == 64 * (len(lines) - 2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("summary.json", b'{"status": "fin', "summary.json is damaged: "),
        ("summary.json", b"\xff\xfe", "summary.json is damaged: "),
        ("summary.json", b"[]", "summary.json holds no summary"),
        ("config.yaml", b"a: [1", "config.yaml is damaged: "),
        ("config.yaml", b"\xff\xfe\x00", "config.yaml is damaged: "),
        ("config.yaml", b"", "config.yaml holds no settings"),
    ],
)
def test_damaged_records_are_said_not_raised(tmp_path: Path, name: str, content: bytes, said: str):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "run" / name).write_bytes(content)
    (row,) = collect([tmp_path])
    assert row.state == UNKNOWN
    assert row.message.startswith(said)
    assert "\n" not in row.message


def test_numbers_that_are_none(train: Train, tmp_path: Path):
    run = train(*SMALL)
    changed(run, best={"val/bits_per_byte": float("nan"), "val/loss": None}, flops=None)
    (row,) = collect([tmp_path])
    assert row.best["val/bits_per_byte"] != row.best["val/bits_per_byte"]
    assert math.isnan(row.number("val/loss") or 0), "null is what was no finite number"
    assert "flops" not in row.costs


def test_axes_of_a_model_that_brings_them_are_left_out_of_its_unfinished_runs(
    train: Train, tmp_path: Path
):
    for name in ("done", "begun"):
        run = train("model=ngram", folder=name)
    changed(run, status="running", owns=None)
    for row in collect([tmp_path]):
        assert "optimizer.lr" not in row.settings.values


def test_folders_of_no_runs(tmp_path: Path):
    assert collect([tmp_path]) == collect([]) == []
    with pytest.raises(InputError, match=r"nowhere is no folder: give a run"):
        collect([tmp_path / "nowhere"])
    (tmp_path / "ledger.sqlite").write_text("no database at all, " * 100)
    with pytest.raises(InputError, match=r"ledger.sqlite cannot be read: "):
        collect([tmp_path])


def test_what_a_logger_keeps_in_a_run_is_no_run(train: Train, tmp_path: Path):
    run = train(*SMALL)
    for part in ("wandb/run-1/files", "csv"):
        (run.path / part).mkdir(parents=True)
        (run.path / part / "config.yaml").write_text("a: 1\n")
    assert [row.folder.path for row in collect([tmp_path])] == [run.path]
