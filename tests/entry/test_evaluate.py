"""`loom evaluate`: the numbers that training recorded, from the saved model alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.run.folder import RunFolder

Verb = Callable[..., tuple[int, str, str]]
Trained = Callable[[str], Path]


@pytest.mark.parametrize("kind", ["gpt", "bert", "ngram"])
def test_the_best_numbers_of_the_summary_come_back(kind: str, trained: Trained, verb: Verb):
    code, output, _ = verb("evaluate", trained(kind), "--json")
    assert code == 0
    numbers = json.loads(output.splitlines()[-1])
    best = RunFolder(trained(kind)).summary()["best"]
    assert numbers.keys() == best.keys()
    for key, value in numbers.items():
        assert value == pytest.approx(best[key], rel=1e-6), key


def test_one_line_per_number(trained: Trained, verb: Verb):
    code, output, _ = verb("evaluate", trained("gpt"))
    best = RunFolder(trained("gpt")).summary()["best"]
    shown = dict(line.split() for line in output.splitlines() if line.startswith("val/"))
    assert code == 0
    assert {k: float(v) for k, v in shown.items()} == pytest.approx(best, abs=2e-6)


def test_fewer_batches(trained: Trained, verb: Verb):
    losses = []
    for batches in (1, 2, 10_000):
        code, output, _ = verb("evaluate", trained("gpt"), "--json", "--batches", batches)
        assert code == 0
        losses.append(json.loads(output.splitlines()[-1])["val/loss"])
    assert len(set(losses)) == 3
    best = RunFolder(trained("gpt")).summary()["best"]["val/loss"]
    assert losses[-1] == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("batches", ["0", "-1", "many"])
def test_a_number_of_batches_that_scores_nothing_is_refused(
    batches: str, trained: Trained, verb: Verb
):
    code, _, errors = verb("evaluate", trained("gpt"), "--batches", batches)
    assert code == 2
    assert "--batches" in errors


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, verb: Verb):
    code, output, errors = verb("evaluate", tmp_path)
    assert (code, output) == (2, "")
    assert f"loom evaluate: {tmp_path} is no run folder" in errors


def test_a_run_that_did_not_finish_is_refused(trained: Trained, tmp_path: Path, verb: Verb):
    folder = RunFolder(tmp_path / "cut")
    folder.create(RunFolder(trained("gpt")).config(), [])
    folder.write_summary({"status": "failed"})
    code, _, errors = verb("evaluate", folder.path)
    assert code == 2
    assert "no finished model (status: failed)" in errors
    assert f"loom train resume={folder.path}" in errors


def test_evaluating_writes_nothing_into_the_run(trained: Trained, verb: Verb):
    files = {p: p.read_bytes() for p in trained("bert").rglob("*") if p.is_file()}
    assert verb("evaluate", trained("bert"))[0] == 0
    assert {p: p.read_bytes() for p in trained("bert").rglob("*") if p.is_file()} == files
