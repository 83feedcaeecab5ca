"""Several prompts at several temperatures, or the likeliest words for masks, as JSON lines."""

import json
from collections.abc import Callable
from pathlib import Path

from loomlab.probe.checks import temperatures
from loomlab.probe.samples import grown
from loomlab.run.folder import RunFolder

SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "sequence_length=64"]
TWICE = ["budget.steps=4", "trainer.val_every_n_steps=2", "probe=[samples]"]


def lines(folder: RunFolder) -> list[dict]:
    return [json.loads(line) for line in (folder.path / "samples.jsonl").open()]


def test_prompts_and_temperatures(train: Callable[..., RunFolder]):
    folder = train(
        *SMALL, *TWICE, "probe.samples.prompts=[Alice,'The queen']", "probe.samples.length=4",
        "probe.samples.temperatures=[0,1.5]",
    )  # fmt: skip
    found = lines(folder)
    assert [(r["step"], r["prompt"], r["temperature"]) for r in found] == [
        (step, prompt, temperature)
        for step in (2, 4)
        for prompt in ("Alice", "The queen")
        for temperature in (0.0, 1.5)
    ]
    assert all(r["text"].startswith(r["prompt"]) for r in found)
    assert found[0]["text"] != found[1]["text"]


def test_several_texts_are_drawn_of_one_prompt(train: Callable[..., RunFolder]):
    given = ["probe.samples.prompts=[Alice]", "probe.samples.temperatures=[0,1.5]"]
    folder = train(*SMALL, *TWICE, *given, "probe.samples.length=8", "probe.samples.count=3")
    for step in (2, 4):
        found = [row for row in lines(folder) if row["step"] == step]
        assert [row["temperature"] for row in found] == [0.0, 1.5, 1.5, 1.5]
        assert len({row["text"] for row in found}) == 4


def test_masks(train: Callable[..., RunFolder]):
    folder = train(
        *SMALL, *TWICE, "model=bert", "objective=mlm", "probe.samples.top=3",
        "probe.samples.fills=['a [MASK] and a [MASK]','no mask']",
    )  # fmt: skip
    first, refused = lines(folder)[:2]
    assert [len(candidates) for candidates in first["fills"]] == [3, 3]
    for candidates in first["fills"]:
        shares = [p for _, p in candidates]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) < 1
    assert "no [MASK]" in refused["text"], "a bad text is said and ends nothing"


def test_table_in_wandb_grows(train: Callable[..., RunFolder]):
    folder = train(
        *SMALL, *TWICE, "probe.samples.length=2", "logger=wandb", "logger.wandb.mode=offline"
    )
    tables = list(folder.path.rglob("wandb/**/media/table/probe/samples*.json"))
    contents = [json.loads(table.read_text()) for table in tables]
    assert sorted(len(content["data"]) for content in contents) == [9, 18]
    assert contents[0]["columns"] == ["step", "prompt", "temperature", "text"]


def test_what_is_done_again_is_told_once(tmp_path: Path):
    """A run killed after step 4, half-way through a line, is resumed from step 2."""
    path = tmp_path / "samples.jsonl"
    for step in (2, 4):
        grown(path, [{"step": step, "text": "before"}], step)
    with path.open("a") as file:
        file.write('{"step": 6, "te')
    rows = grown(path, [{"step": 4, "text": "again"}], 4)
    assert rows == [{"step": 2, "text": "before"}, {"step": 4, "text": "again"}]
    rows = grown(path, [{"step": 6, "text": "new"}], 6)
    assert [json.loads(line) for line in path.open()] == rows
    assert [row["step"] for row in rows] == [2, 4, 6]


def test_a_temperature_below_zero_is_refused():
    assert temperatures({"temperatures": [0, 0.7]}) == []
    (problem,) = temperatures({"temperatures": [0.7, -1]})
    assert problem.startswith("temperatures: -1 is not a finite number of at least 0")
