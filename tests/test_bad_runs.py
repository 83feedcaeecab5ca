"""Other runs as input: what does not fit is named, and a run that is refused stays as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from loomlab.callbacks.store import CheckpointStore
from loomlab.run.folder import RunFolder

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
ALICE = (Path(__file__).parent / "data" / "alice.txt").read_text(encoding="utf-8")
Ended = Callable[..., tuple[int, str]]


@pytest.fixture
def run(train: Callable[..., RunFolder]) -> RunFolder:
    """A finished run of two steps."""
    return train(*SMALL, "callbacks=[checkpoint]")


def state_of(folder: Path) -> dict[str, bytes]:
    """Every file of a run but its log."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "train.log"]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_init_of_another_shape(refused: Callable[..., str], run: RunFolder):
    said = refused(f"init={run.path}", "model.width=32")
    assert "these weights do not fit this model: " in said
    assert "lm_head.weight has another shape" in said or "embedding.weight has another" in said


def test_init_with_another_tokenizer(refused: Callable[..., str], run: RunFolder):
    said = refused(f"init={run.path}", "tokenizer=byte_bpe", "tokenizer.vocab_size=300")
    assert "these weights were trained with another tokenizer" in said
    assert "(260 tokens, this run has 300)" in said


def test_init_of_a_damaged_file(refused: Callable[..., str], run: RunFolder):
    weights = run.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "model.safetensors is no safetensors file" in refused(f"init={run.path}")


def resume(ended: Ended, run: RunFolder, *overrides: str) -> str:
    """Resuming is refused and leaves the run as it was."""
    before = state_of(run.path)
    code, said = ended("train", f"resume={run.path}", "budget.steps=4", *overrides)
    assert code == 2, said
    assert "Traceback" not in said
    assert state_of(run.path) == before
    return said


def test_resume_with_another_outcome(ended: Ended, run: RunFolder):
    assert "model.width: 16 -> 32" in resume(ended, run, "model.width=32")
    assert "tokenizer" in resume(ended, run, "tokenizer=byte_bpe")


def test_resume_of_a_checkpoint_of_another_shape(ended: Ended, run: RunFolder):
    path = run.checkpoints / "last.ckpt"
    state = torch.load(path, weights_only=True)
    key = next(k for k, v in state["state_dict"].items() if v.ndim == 2)
    state["state_dict"][key] = torch.zeros(3, 3)
    store = CheckpointStore(run.checkpoints)
    torch.save(state, store.partial("last.ckpt"))
    store.commit("last.ckpt", 99)
    assert f"last.ckpt is of another model: {key} has another shape" in resume(ended, run)


def test_resume_on_other_text(ended: Ended, train: Callable[..., RunFolder], tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text(ALICE)
    run = train(*SMALL, "callbacks=[checkpoint]", f"corpus.path={text}")
    text.write_text(ALICE.replace("Alice", "Alicia"))
    assert "trained on another stream of samples (tokens" in resume(ended, run)


def test_resume_without_any_sound_checkpoint(ended: Ended, run: RunFolder):
    for path in run.checkpoints.glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:-1])
    assert "no valid checkpoint" in resume(ended, run)


def test_resume_of_a_damaged_record(ended: Ended, run: RunFolder):
    (run.path / "config.yaml").write_text("a: [1, 2")
    assert "config.yaml is damaged" in resume(ended, run)


def test_loading_says_what_is_damaged(ended: Ended, run: RunFolder):
    weights = run.model / "model.safetensors"
    content = load_file(weights)
    key = next(iter(content))
    save_file({**content, key: torch.zeros(2, 2)}, weights)
    code, said = ended("evaluate", run.path)
    assert code == 2, said
    (run.model / "config.json").write_text(json.dumps({"model_type": "loom_gpt"})[:-3])
    code, said = ended("evaluate", run.path)
    assert code == 2, said
    assert "Traceback" not in said
