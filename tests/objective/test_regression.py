"""Regression: its loss, its numbers in their own unit, what it refuses, and that it learns."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_model import BACKBONES
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.format.standard_layout import standard_layout
from loomlab.objective.regression import Regression
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder
from loomlab.text.label_set import LabelSet
from loomlab.text.numbers import Spread
from loomlab.text.rows import Rows

MEALS = Path(__file__).parents[1] / "data" / "meals.csv"
REVIEWS = MEALS.with_name("reviews.csv")
YEARS = LabelSet(("year",), (9,), 9, 24, spread=Spread(("year",), (1990.0,), (8.0,)))
TWO = LabelSet(("a", "b"), (9, 9), 9, 24, spread=Spread(("a", "b"), (1990.0, -1.0), (8.0, 0.01)))
SMALL = [
    "objective=regression", "corpus=labelled", f"corpus.path={MEALS}", "corpus.label_key=stars",
    "sequence_length=80", "trainer.limit_val_batches=null",
    "model.layers=1", "model.width=16", "model.heads=2",
]  # fmt: skip
ROWS = ([1982.0], [2006.5], [1990.0])


@pytest.fixture
def regression(objective: Callable[..., Any]) -> Callable[..., Regression]:
    return partial(objective, Regression, label_set=YEARS)


def test_the_loss_is_that_of_standardized_numbers(
    regression: Callable[..., Regression], text_rows: Callable[..., Rows]
):
    module = regression()
    batch = module.collate(text_rows(*ROWS, dtype=torch.float64))
    assert batch["targets"].tolist() == [[-1.0], [2.0625], [0.0]]
    said, targets = module.predict(batch)
    own = module.model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    torch.testing.assert_close(own, said * 8 + 1990)
    assert said.detach().abs().max() < 3, "it begins near the mean"
    loss = module.training_step(batch, 0)
    torch.testing.assert_close(loss, ((own[:, 0] - torch.tensor(ROWS)[:, 0]) / 8).square().mean())
    assert targets is batch["targets"]


@pytest.mark.parametrize("labels", [YEARS, TWO], ids=["one", "two"])
def test_bert_of_transformers_says_and_loses_the_same(
    regression: Callable[..., Regression], text_rows: Callable[..., Rows], labels: LabelSet
):
    module = regression(label_set=labels)
    numbers = [[1982.0, -1.01], [2006.5, -0.98], [1990.0, -1.0]]
    numbers = [row[: len(labels.names)] for row in numbers]
    batch = module.collate(text_rows(*numbers, dtype=torch.float64))
    theirs = standard_layout(module.model)
    assert type(theirs).__name__ == "BertForSequenceClassification"
    assert theirs.config.problem_type == "regression"
    assert theirs.config.num_labels == len(labels.names)
    inputs = module.model_inputs(batch)
    told = theirs(**inputs, labels=torch.tensor(numbers))
    own = module.model(**inputs, labels=torch.tensor(numbers))
    torch.testing.assert_close(own.logits, told.logits, atol=1e-3, rtol=0)
    torch.testing.assert_close(own.loss, told.loss, rtol=1e-3, atol=0)
    if len(labels.names) == 1:
        torch.testing.assert_close(module.training_step(batch, 0), told.loss / 64, rtol=1e-3,
                                   atol=0)  # fmt: skip
    scores = module.new_scores()
    module.score(batch, scores)
    off = (told.logits - torch.tensor(numbers)).detach().numpy()
    found = scores.result()
    assert set(found) == set(Regression.metrics)
    assert found["rmse"] == pytest.approx(np.sqrt((off**2).mean(0)).mean(), rel=1e-3)
    assert found["mae"] == pytest.approx(np.abs(off).mean(), rel=1e-3)


def test_padding_and_batches_do_not_matter(
    regression: Callable[..., Regression], text_rows: Callable[..., Rows]
):
    module, found = regression(), []
    rows = text_rows(*ROWS, dtype=torch.float64)
    parts = [
        Rows(*(getattr(rows, name)[n : n + 1] for name in rows.__dataclass_fields__))
        for n in (2, 0, 1)
    ]
    for cut in ([rows], parts):
        scores = module.new_scores()
        for part in cut:
            module.score(module.collate(part), scores)
        found.append(scores.result())
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_held_out_rows_are_shown_in_their_own_unit(
    regression: Callable[..., Regression], text_rows: Callable[..., Rows]
):
    module = regression(label_set=TWO)
    batch = module.collate(text_rows([2006.5, -1.25], dtype=torch.float64))
    module.score(batch, module.new_scores())
    a, b = module.call(batch)[0].tolist()
    assert module.sample("", 1).startswith(f"2006.5, -1.25 -> {a:.6g}, {b:.6g}: ")


def test_without_numbers_it_says_what_it_needs():
    for labels in (None, LabelSet(("a", "b"), (1, 1), 2, 24)):
        with pytest.raises(InputError, match="needs a corpus with numbers for labels"):
            Regression(label_set=labels)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["corpus=rotten_tomatoes"], "needs corpus.numbered to be True: its labels are no num"),
        (["corpus=tagged", f"corpus.path={MEALS.with_name('words.conll')}"], "use corpus=labell"),
        ([*SMALL[1:4], "model=ngram"], "counting n-grams does not tell numbers"),
        ([*SMALL[1:4], "corpus.document_mask=true"], "a row is one document"),
        ([*SMALL[1:4], "metric=val/accuracy"], "reports no 'val/accuracy'"),
        ([*SMALL[1:4], "objective.class_weights=balanced"], "has no setting 'class_weights'"),
        ([*SMALL[1:4], "regularization=[label_smoothing]"], "no distribution to smooth"),
        ([*SMALL[1:4], "regularization=[z_loss]"], "no distribution to normalize"),
        ([*SMALL[1:4], "compression=[distill]"], "no probabilities to learn from"),
        ([*SMALL[1:4], "corpus.label_key=text"], "is no number: fix the row, or use objective=cl"),
        ([*SMALL[1:3], f"corpus.path={REVIEWS}"], "at \"label\" is no number: fix the row, or us"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(overrides: list[str], words: str):
    assert words in check(["objective=regression", *overrides]).message()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,stars\nx,1\ny,nan\n", "a.csv, line 3: nan"),
        ("text,stars\n", "a.csv: no row is there"),
    ],
)
def test_bad_files_are_refused(
    refused: Callable[..., str], tmp_path: Path, content: str, words: str
):
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert words in refused(*SMALL[:2], f"corpus.path={path}", "corpus.label_key=stars")


@BACKBONES
def test_it_learns_and_the_saved_model_agrees(train: Callable[..., RunFolder], model: list[str]):
    sizes = [o for o in SMALL if not ("model=hf" in model and o.startswith("model."))]
    folder = train(
        *sizes, *model, "budget.steps=50", "optimizer.lr=0.02", "global_batch_size=16",
        "callbacks=[checkpoint,samples]", "corpus.validation_every=4",
        "tokenizer=wordpiece", "tokenizer.vocab_size=300",
    )  # fmt: skip
    best = folder.summary()["best"]
    assert set(best) == {f"val/{name}" for name in Regression.metrics}
    assert folder.summary()["metric"] == "val/rmse"
    assert best["val/r2"] > 0.5, "words add up"
    finished = FinishedRun(folder.path)
    saved = AutoModelForSequenceClassification.from_pretrained(folder.model).eval()
    assert saved.config.id2label == {0: "stars"}
    tokenizer = AutoTokenizer.from_pretrained(folder.model)
    _, corpus = finished.with_corpus()
    rows = tokenizer(list(corpus.documents("validation")), padding=True, return_tensors="pt")
    with torch.no_grad():
        said = saved(rows.input_ids, attention_mask=rows.attention_mask).logits[:, 0].numpy()
    true = np.array([row.values[0] for row in corpus.source.numbers("validation")])
    assert np.sqrt(((said - true) ** 2).mean()) == pytest.approx(best["val/rmse"], rel=1e-4)
    shown = (folder.path / "samples.txt").read_text().splitlines()[1]
    assert float(shown.split(" -> ")[0]) == true[0]


@pytest.mark.slow
def test_a_run_with_several_numbers(train: Callable[..., RunFolder], tmp_path: Path):
    path = tmp_path / "plots.jsonl"
    rows = [
        {"text": f"a {word} one", "label": [number / 1000, 5000.5 * (number - 2) ** 2]}
        for number, word in enumerate(("slim", "thin", "wide", "broad", "vast"))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows * 16))
    folder = train(
        *SMALL[:2], f"corpus.path={path}", *SMALL[4:], "model=bert", "corpus.labels=[width,area]",
        "budget.steps=80", "optimizer.lr=0.01", "global_batch_size=16", "tokenizer=wordpiece",
        "model.initializer_range=0.2",  # from the usual one, a model so narrow learns one by one
        "tokenizer.vocab_size=100", "callbacks=[checkpoint]", "corpus.validation_every=7",
    )  # fmt: skip
    assert folder.summary()["best"]["val/r2"] > 0.95
    saved = AutoModelForSequenceClassification.from_pretrained(folder.model)
    assert saved.config.id2label == {0: "width", 1: "area"}
