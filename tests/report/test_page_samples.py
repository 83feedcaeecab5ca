"""Samples of the probe and of the callback, cut to what a page can carry."""

import json
from pathlib import Path

from loomlab.report.page_samples import LONGEST, STEPS, samples


def probe(folder: Path, steps: int, text: str = "some words") -> None:
    lines = [{"step": s, "prompt": "It", "temperature": t, "text": text}
             for s in range(1, steps + 1) for t in (0.0, 1.0)]  # fmt: skip
    (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_first_last_and_some_steps_between(tmp_path: Path):
    probe(tmp_path, 90)
    found = samples(tmp_path, 10**6)
    steps = sorted({s["step"] for s in found})
    assert len(steps) == STEPS
    assert (steps[0], steps[-1]) == (1, 90)
    assert found[0] == {"step": 90, "prompt": "It", "text": "some words", "temperature": 0.0}


def test_a_small_budget_keeps_the_last_step(tmp_path: Path):
    probe(tmp_path, 90, "x" * 5000)
    found = samples(tmp_path, 10)
    assert {s["step"] for s in found} == {90}
    assert all(len(s["text"]) == LONGEST for s in found)


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path):
    probe(tmp_path, 1)
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write('{"step": 2, "prompt": "It wa')
    assert {s["step"] for s in samples(tmp_path, 10**6)} == {1}


def test_samples_of_the_callback(tmp_path: Path):
    (tmp_path / "samples.txt").write_text(
        "--- step 5\nIt was a\nnight\n--- step 10\nIt was a day\n"
    )
    assert samples(tmp_path, 10**6) == [
        {"step": 10, "prompt": "", "text": "It was a day"},
        {"step": 5, "prompt": "", "text": "It was a\nnight"},
    ]


def test_a_run_without_samples(tmp_path: Path):
    assert samples(tmp_path, 10**6) == []
