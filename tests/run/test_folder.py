"""The run folder's contract: which files, which keys, whole or not at all."""

import json
import math
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from loomlab.errors import InputError
from loomlab.run.folder import RunFolder, find_runs, write_atomically
from loomlab.run.metrics_file import read_metrics

SCORES = {"loss", "perplexity", "bits_per_byte", "accuracy"}
SUMMARY = {
    *("schema_version", "status", "choice", "runtime", "final", "best", "steps", "precision"),
    *("kind", "more_is_better"),
    *("training_seconds", "parameters", "tokens", "flops", "peak_memory_bytes", "compression"),
    *("owns", "corpus", "versions", "machine", "git", "seconds", "metric", "reports", "threads"),
}
CALLBACKS = "callbacks=[checkpoint,throughput,samples]"


@pytest.fixture(scope="module")
def run(finish: Callable[..., RunFolder]) -> RunFolder:
    more = ["position=rope", "callbacks.samples.length=4", "trainer.val_every_n_steps=2"]
    return finish(CALLBACKS, *more, "budget.steps=4")


def test_files_of_a_finished_run(run: RunFolder):
    assert {p.name for p in run.path.iterdir()} == {
        *("config.yaml", "overrides.json", "metrics.csv", "summary.json", "checkpoints"),
        *("samples.txt", "tokenizer", "model"),
    }
    assert {p.name for p in run.checkpoints.iterdir()} == {
        *("last.ckpt", "previous.ckpt", "best.ckpt", "manifest.json"),
    }
    model = {p.name for p in run.model.iterdir()}
    assert model >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700


def test_summary_has_every_key(run: RunFolder):
    summary = json.loads((run.path / "summary.json").read_text())
    assert set(summary) == SUMMARY
    assert summary == run.summary()
    assert (summary["schema_version"], summary["status"]) == (1, "finished")
    assert set(summary["final"]) == set(summary["best"]) == {f"val/{name}" for name in SCORES}
    assert (summary["steps"], summary["tokens"], summary["precision"]) == (4, 256, "32-true")
    assert summary["choice"]["position"] == "rope"
    assert summary["choice"]["callbacks"] == ["checkpoint", "throughput", "samples"]
    assert summary["corpus"]["vocabulary"] >= 256
    assert summary["corpus"]["bytes_per_token"] == pytest.approx(1, abs=0.01)
    assert summary["versions"]["torch"] == torch.__version__
    assert 0 < summary["training_seconds"] <= summary["seconds"]


def test_metrics_have_every_column(run: RunFolder):
    rows = read_metrics(run.metrics)
    assert list(rows[0])[:4] == ["step", "tokens", "flops", "seconds"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    train = {f"train/{name}" for name in (*SCORES, "lr", "tokens_per_second")}
    assert all(train <= row.keys() for row in rows)
    assert [{f"val/{n}" for n in SCORES} <= row.keys() for row in rows] == [False, True] * 2
    price = run.summary()["flops"] / 4
    assert all((r["tokens"], r["flops"]) == (64 * r["step"], price * r["step"]) for r in rows)
    assert [r["seconds"] for r in rows] == sorted(r["seconds"] for r in rows)
    final = run.summary()["final"]
    assert final["val/loss"] == pytest.approx(rows[-1]["val/loss"], rel=1e-6)
    perplexity = math.exp(rows[-1]["val/loss"])
    assert rows[-1]["val/perplexity"] == pytest.approx(perplexity, rel=1e-6)


def test_config_and_overrides_are_what_was_run(run: RunFolder):
    config = run.config()
    assert config.budget.steps == 4
    assert config.position._target_ == "loomlab.position.rope.RoPE"
    assert "hydra" not in config
    assert CALLBACKS in run.overrides()
    text = (run.path / "config.yaml").read_text()
    assert "${" not in text
    assert OmegaConf.to_container(config) == OmegaConf.to_container(OmegaConf.create(text))


def test_samples_follow_validations(run: RunFolder):
    text = (run.path / "samples.txt").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("--- step")] == [
        "--- step 2",
        "--- step 4",
    ]


def test_runs_are_found_by_path(run: RunFolder):
    found = find_runs(run.path.parent)
    assert run.path in [f.path for f in found]
    assert [f.path for f in found] == sorted(f.path for f in found)


def test_what_loggers_put_into_a_run_is_no_run(tmp_path: Path):
    for place in (".", "csv", "wandb/run-1", "exports/beside"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "config.yaml").write_text("seed: 1")
    found = [run.path for run in find_runs(tmp_path)]
    assert found == [tmp_path, tmp_path / "exports" / "beside"]


def test_a_folder_without_config_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"is no run folder .* give the folder"):
        RunFolder(tmp_path).config()
    assert RunFolder(tmp_path).summary() == {}
    assert RunFolder(tmp_path).overrides() == []
    assert find_runs(tmp_path) == []


def test_writing_replaces_and_leaves_nothing_beside(tmp_path: Path):
    for text in ("one\n", "two\n"):
        write_atomically(tmp_path / "file.txt", text)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file.txt", "two\n")]


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path):
    shared, new = RunFolder(tmp_path / "shared"), RunFolder(tmp_path / "new" / "run")
    shared.path.mkdir()
    shared.path.chmod(0o2775)
    for folder in (shared, new):
        folder.create(OmegaConf.create({"seed": 1}), ["seed=1"])
        assert folder.overrides() == ["seed=1"]
    assert stat.S_IMODE(shared.path.stat().st_mode) == 0o2775
    assert stat.S_IMODE(new.path.stat().st_mode) == 0o700


def test_a_summary_is_json_for_every_reader(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.write_summary({"best": {"val/loss": math.inf, "val/accuracy": math.nan}})
    text = (tmp_path / "summary.json").read_text()
    json.loads(text, parse_constant=pytest.fail)
    assert folder.summary()["best"] == {"val/loss": None, "val/accuracy": None}
