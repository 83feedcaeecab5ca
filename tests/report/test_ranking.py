"""Runs as rows: ranked, with what differs between them."""

import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from loomlab.report.ranking import (
    Row,
    cells,
    differing_axes,
    finished_rows,
    headings,
    markdown_table,
    rich_table,
)
from loomlab.run.folder import RunFolder

Train = Callable[..., RunFolder]
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


def parsed(table: str) -> list[dict[str, str]]:
    """The rows of a Markdown table."""
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()]
    assert set("".join(lines[1])) == {"-"}
    return [dict(zip(lines[0], row, strict=True)) for row in lines[2:]]


def changed(folder: RunFolder, **entries: object) -> None:
    """Change entries of a recorded summary."""
    path = folder.path / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def numbers(bits: float) -> dict[str, float]:
    return {"val/bits_per_byte": bits, "val/perplexity": 2.0, "val/accuracy": 0.5}


def test_the_lowest_is_first_and_masked_models_are_apart(train: Train, tmp_path: Path):
    good = train(*SMALL, "optimizer.lr=0.01", folder="good")
    ngram = train("model=ngram", folder="ngram")
    masked = train(*SMALL, "model=bert", "objective=mlm", folder="masked")
    changed(good, best=numbers(3.0))
    changed(ngram, best=numbers(2.0))
    changed(masked, best=numbers(0.5))
    rows = finished_rows([tmp_path])
    assert [row.folder.path.name for row in rows] == ["ngram", "good", "masked"]
    assert [row.pseudo for row in rows] == [False, False, True]
    assert "attention" not in differing_axes(rows)
    assert differing_axes(rows) == ["model", "objective"]


def test_an_own_objective_says_what_its_numbers_are(train: Train, tmp_path: Path):
    """By a name that nobody here knows: what counts is what its class says."""
    plain = train(*SMALL, folder="plain")
    own = train(*SMALL, "model=bert", "objective=mlm", folder="own")
    choice = {**own.summary()["choice"], "objective": "mine"}
    changed(own, choice=choice, best=numbers(0.5))
    changed(plain, best={**numbers(3.0), "val/score": 0.2}, more_is_better=["val/score"])
    rows = finished_rows([tmp_path])
    assert [row.pseudo for row in rows] == [False, True]
    assert rows[0].prefers_more("val/score")
    assert not rows[0].prefers_more("val/accuracy"), "it does not say so"


def test_runs_that_are_not_finished_are_left_out(train: Train, tmp_path: Path):
    for status in ("finished", "failed", "running"):
        changed(train(*SMALL, folder=status), status=status)
    (tmp_path / "unsaid").mkdir()
    (tmp_path / "unsaid" / "config.yaml").write_text("seed: 1\n")
    rows = finished_rows([tmp_path])
    assert [row.folder.path.name for row in rows] == ["finished"]
    assert finished_rows([tmp_path / "nowhere"]) == []
    assert differing_axes([]) == []


def test_differing_axes_and_cells(train: Train, tmp_path: Path):
    train(*SMALL, "optimizer=sgd", "position=rope", folder="gpt")
    train("model=ngram", folder="ngram")
    train(*SMALL, "compression=[lora]", "position=rope", folder="lora")
    rows = {row.folder.path.name: row for row in finished_rows([tmp_path])}
    axes = differing_axes(list(rows.values()))
    assert axes == ["model", "optimizer", "compression"], "both that have positions agree"
    found = {name: dict(zip(headings(axes), cells(r, axes), strict=True))
             for name, r in rows.items()}  # fmt: skip
    picks = {name: [row[a] for a in axes] for name, row in found.items()}
    assert picks == {
        "gpt": ["gpt", "sgd", "-"],
        "ngram": ["ngram", "-", "-"],
        "lora": ["gpt", "adamw", "lora"],
    }
    summary = rows["gpt"].summary
    assert found["gpt"]["params"] == f"{summary['parameters']:,}"
    assert found["gpt"]["tokens"] == "128"
    assert float(found["gpt"]["bits/byte"]) == float(
        f"{rows['gpt'].best['val/bits_per_byte']:.4g}"
    )


def test_tables_for_readme_and_screen(train: Train, tmp_path: Path):
    for optimizer in ("adamw", "sgd"):
        train(*SMALL, f"optimizer={optimizer}", folder=optimizer)
    rows = finished_rows([tmp_path])
    table = parsed(markdown_table(rows, ["optimizer"]))
    assert [row["optimizer"] for row in table] == [row.choice["optimizer"] for row in rows]
    assert list(table[0]) == headings(["optimizer"])
    bits = [float(row["bits/byte"]) for row in table]
    assert bits == sorted(bits)
    console = Console(width=120, file=(tmp_path / "screen.txt").open("w+"))
    console.print(rich_table(rows, "Ranked", ["optimizer"]))
    console.file.seek(0)
    screen = console.file.read()
    assert screen.startswith("Ranked")
    assert [word for word in screen.split() if word in ("adamw", "sgd")] == [
        row.choice["optimizer"] for row in rows
    ]


def test_a_run_without_the_metric_comes_last(train: Train, tmp_path: Path):
    for name in ("lacking", "whole"):
        folder = train(*SMALL, folder=name)
    changed(RunFolder(tmp_path / "lacking"), best={})
    rows = finished_rows([tmp_path])
    assert [row.folder.path for row in rows] == [folder.path, tmp_path / "lacking"]
    assert isinstance(rows[0], Row)


def test_classifiers_are_ranked_apart_and_by_accuracy(train: Train, tmp_path: Path):
    text = train(*SMALL, folder="text")
    reviews = Path(__file__).parents[1] / "data" / "reviews.csv"
    labels = [*SMALL, "objective=classification", "corpus=labelled", f"corpus.path={reviews}"]
    for name, accuracy in (("poor", 0.6), ("good", 0.9)):
        best = {"val/loss": 0.5, "val/accuracy": accuracy, "val/f1": 0.25, "val/matthews": 0.1}
        changed(train(*labels, folder=name), best=best)
    changed(text, best=numbers(2.0))
    rows = finished_rows([tmp_path])
    assert [row.folder.path.name for row in rows] == ["text", "good", "poor"]
    assert [row.labels for row in rows] == [False, True, True]
    table = parsed(markdown_table(rows, []))
    assert [row["bits/byte"] for row in table] == ["2", "-", "-"]
    assert [row["F1"] for row in table] == ["-", "0.25", "0.25"]
    alone = parsed(markdown_table(rows[1:], []))
    assert list(alone[0]) == ["accuracy", "F1", "Matthews", "params", "tokens", "seconds"]
    assert "F1" not in parsed(markdown_table(rows[:1], []))[0]
