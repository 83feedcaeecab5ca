"""The fine-tuning study: its sweeps are valid, its tables are of its runs and of a baseline."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.corpus.labelled import Labelled
from loomlab.report.ranking import finished_rows
from loomlab.report.study import find_study
from loomlab.run.folder import RunFolder
from loomlab.sweep.plan import plan

FOLDER = Path(__file__).parents[2] / "experiments" / "finetuning"
REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"
ALIKE = ["model.layers=1", "model.width=16", "model.heads=2", "trainer.val_at_start=true",
         "trainer.val_every_n_epochs=1", "trainer.limit_val_batches=null",
         "trainer.val_share=100"]  # fmt: skip
WRITES = ["sequence_length=64", "corpus.max_samples=8", "budget.steps=4", "probe=[samples]",
          "probe.samples.prompts=[It]", "probe.samples.temperatures=[0.7]",
          "probe.samples.length=4", "probe.samples.count=3"]  # fmt: skip
LABELS = ["objective=classification", "corpus=labelled", f"corpus.path={REVIEWS}",
          "corpus.validation_every=3", "corpus.max_samples=16", "budget.steps=4"]  # fmt: skip


@pytest.fixture(scope="module")
def baseline() -> dict:
    """What experiments/finetuning/baseline.py defines."""
    return runpy.run_path(str(FOLDER / "baseline.py"))


@pytest.mark.slow
def test_every_sweep_has_three_seeds_that_compose():
    study = find_study("finetuning")
    assert list(study.sweeps) == [f"{j}_{a}" for j in ("gpt", "bert")
                                  for a in ("full", "lora", "scratch")]  # fmt: skip
    for overrides in study.commands(False, []).values():
        checked = plan(overrides).checked
        assert not checked.problems, checked.message()
        assert sorted(c.seed for c in checked.configs.values()) == [1, 2, 3]


def test_words_tell_more_than_the_commonest_label(baseline: dict, tmp_path: Path):
    corpus = Labelled(str(REVIEWS), validation_every=3, cache_dir=tmp_path)
    common, words = baseline["measure"](corpus).values()
    _, labels = baseline["part"](corpus, "train")
    texts, truth = baseline["part"](corpus, "validation")
    most = max(set(labels), key=labels.count)
    assert common["val/accuracy"] == pytest.approx(truth.count(most) / len(texts))
    assert common["val/matthews"] == 0
    assert words["val/accuracy"] >= 0.95
    assert words["val/f1"] >= 0.95


def test_its_tables_are_of_its_runs(
    train: Callable[..., RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    gpt = [train(*ALIKE, *WRITES, f"seed={s}", folder=f"gpt_full/{s}") for s in (1, 2)]
    bert = train(*ALIKE, *LABELS, folder="bert_full/1")
    output = tmp_path / "drawn"
    output.mkdir()
    script = find_study("finetuning").script()
    script.draw(finished_rows([tmp_path]), output, None)
    lines = capsys.readouterr().out.splitlines()
    heading, _, full = lines[:3]
    assert heading.split(" | ")[2:] == ["before", "after epoch 1", "after epoch 2", "seconds |"]
    assert full.startswith(f"| pretrained, all weights | {gpt[0].summary()['parameters']:,} | ")
    ends = [run.summary()["final"]["val/bits_per_byte"] for run in gpt]
    assert full.split(" | ")[4] == script.over_seeds(ends)
    assert " +- " in full
    _, common, few, many, encoder = (line for line in lines[3:] if line.startswith("| "))
    assert common.startswith("| always the commonest label | - | - | ")
    assert few.startswith("| bag of words, 16 texts | ")
    assert many.startswith("| bag of words, ")
    assert f" | {bert.summary()['final']['val/accuracy']:.3f} | " in encoder
    assert len([line for line in lines if line.startswith("- before: ")]) == 3
    assert len([line for line in lines if line.startswith("- after epoch 2: ")]) == 3
    assert (output / "table.md").read_text(encoding="utf-8").splitlines() == lines
    assert (output / "figure.png").stat().st_size > 1000
