"""Classification: its loss, its weights, its scores, and what it refuses."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.objective.classification import Classification
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder
from loomlab.text.label_set import LabelSet
from loomlab.text.prediction import predict_labels
from loomlab.text.rows import Rows

REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"
LABELS = LabelSet(("a", "b", "c"), (6, 3, 1), 10, 24)
SMALL = [
    "objective=classification", "corpus=labelled", f"corpus.path={REVIEWS}", "sequence_length=80",
    "trainer.limit_val_batches=null",
    "model.layers=1", "model.width=16", "model.heads=2",
]  # fmt: skip


@pytest.fixture
def classifier(objective: Callable[..., Any]) -> Callable[..., Classification]:
    return partial(objective, Classification, label_set=LABELS)


def test_one_label_a_row(
    classifier: Callable[..., Classification], text_rows: Callable[..., Rows]
):
    module = classifier()
    batch = module.collate(text_rows([0, 1, 0], [0, 0, 1], [1, 0, 0]))
    assert batch["targets"].tolist() == [1, 2, 0]
    logits, targets = module.predict(batch)
    plain = module.model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert torch.equal(logits, plain)
    loss = module.training_step(batch, 0)
    torch.testing.assert_close(loss, F.cross_entropy(plain, targets))
    assert module.model.config.problem_type == "single_label_classification"
    output = module.model(**module.model_inputs(batch), labels=targets)
    torch.testing.assert_close(output.loss, loss)


def test_several_labels_a_row(
    classifier: Callable[..., Classification], text_rows: Callable[..., Rows]
):
    module = classifier(multi_label=True)
    batch = module.collate(text_rows([0, 1, 1], [0, 0, 0]))
    assert batch["targets"].tolist() == [[0, 1, 1], [0, 0, 0]]
    logits, targets = module.predict(batch)
    expected = F.binary_cross_entropy(logits.sigmoid(), targets)
    torch.testing.assert_close(module.training_step(batch, 0), expected)
    assert module.model.config.problem_type == "multi_label_classification"


def test_balanced_weights_are_those_of_scikit_learn(classifier: Callable[..., Classification]):
    module = classifier(class_weights="balanced")
    labels = [0] * 6 + [1] * 3 + [2]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert module.weight_C.tolist() == pytest.approx(expected.tolist())
    logits, targets = torch.randn(10, 3), torch.tensor(labels)
    each = F.cross_entropy(logits, targets, reduction="none") * torch.tensor(expected)[labels]
    assert float(module.loss(logits, targets)) == pytest.approx(float(each.mean()), rel=1e-5)
    assert "weight_C" not in module.state_dict(), "a checkpoint holds the model alone"
    several = classifier(multi_label=True, class_weights="balanced")
    assert several.weight_C.tolist() == pytest.approx([4 / 6, 7 / 3, 9.0])


def test_held_out_numbers_are_not_weighted(
    classifier: Callable[..., Classification], text_rows: Callable[..., Rows]
):
    batch = text_rows([1, 0, 0], [0, 1, 0], [0, 0, 1])
    results = []
    for weights in ("none", "balanced"):
        module = classifier(class_weights=weights)
        scores = module.new_scores()
        module.score(module.collate(batch), scores)
        results.append(scores.result())
    assert results[0] == results[1]


def test_rows_of_no_or_several_labels_need_multi_label(classifier: Callable[..., Classification]):
    odd = LabelSet(("a", "b"), (1, 1), 2, 24, "x.csv, line 3: 2 labels")
    with pytest.raises(InputError, match=r"x\.csv, line 3: 2 labels: .*multi_label=true"):
        classifier(label_set=odd)
    assert classifier(label_set=odd, multi_label=True).multi_label


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["corpus=text", f"corpus.path={REVIEWS}"], "needs corpus.labelled to be True: its docu"),
        (["corpus=gutenberg"], "with objective=classification use corpus=labelled|rotten_tom"),
        ([*SMALL[1:3], "model=ngram"], "counting n-grams does not tell labels apart"),
        ([*SMALL[1:3], "corpus.document_mask=true"], "a row is one document"),
        ([*SMALL[1:3], "metric=val/perplexity"], "reports no 'val/perplexity'"),
        ([*SMALL[1:3], "objective.multi_label=true", "regularization=[label_smoothing]"],
         "no distribution"),
        ([*SMALL[1:3], "corpus.label_key=stars"], 'there is no "stars"'),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(overrides: list[str], words: str):
    message = check(["objective=classification", *overrides]).message()
    assert words in message


@pytest.mark.parametrize(
    "model",
    [
        [],
        pytest.param(["model=bert"], marks=pytest.mark.slow),
        pytest.param(
            ["model=hf", "model.architecture_type=gpt2",
             "++model.config={n_layer:1,n_embd:16,n_head:2}"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["gpt", "bert", "hf"],
)  # fmt: skip
def test_it_learns_and_the_saved_model_agrees(train: Callable[..., RunFolder], model: list[str]):
    sizes = [o for o in SMALL if not (model and "hf" in model[0] and o.startswith("model."))]
    folder = train(
        *sizes, *model, "budget.steps=null", "budget.epochs=10", "optimizer.lr=0.02",
        "global_batch_size=16", "callbacks=[checkpoint]", "corpus.validation_every=4",
        "tokenizer=wordpiece", "tokenizer.vocab_size=200",
    )  # fmt: skip
    best = folder.summary()["best"]
    assert set(best) == {f"val/{name}" for name in Classification.metrics}
    assert best["val/accuracy"] >= 0.9, "the words tell the label"
    finished = FinishedRun(folder.path)
    saved = AutoModelForSequenceClassification.from_pretrained(folder.model).eval()
    assert saved.config.id2label == {0: "bad", 1: "good"}
    tokenizer = AutoTokenizer.from_pretrained(folder.model)
    _, corpus = finished.with_corpus()
    texts = list(corpus.documents("validation"))
    rows = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = saved(rows.input_ids, attention_mask=rows.attention_mask).logits
    names = [saved.config.id2label[n] for n in logits.argmax(-1).tolist()]
    right = [n == row.labels[0] for n, row in zip(names, corpus.labels("validation"), strict=True)]
    assert sum(right) / len(right) == pytest.approx(best["val/accuracy"])


def test_tokens_and_flops_are_those_of_rows(train: Callable[..., RunFolder]):
    short = train(*SMALL, folder="short").summary()
    long = train(*SMALL, "sequence_length=200", folder="long").summary()
    assert short["tokens"] < 2 * 4 * 80
    assert long["tokens"] == pytest.approx(short["tokens"], rel=0.2), "padding is not counted"
    assert long["flops"] == pytest.approx(short["flops"], rel=0.2)


def test_held_out_rows_are_shown(train: Callable[..., RunFolder]):
    folder = train(*SMALL, "callbacks=[samples]")
    lines = (folder.path / "samples.txt").read_text().splitlines()
    assert lines[0].startswith("--- step")
    first = lines[1]
    assert first.split(" -> ")[0] in ("good", "bad")
    assert first.split(" -> ")[1].split(":")[0] in ("good", "bad")
    assert "The " in first


def test_a_run_with_several_labels(train: Callable[..., RunFolder], tmp_path: Path):
    path = tmp_path / "topics.jsonl"
    words = {"a": "apple", "b": "bread", "c": "cheese"}
    sets = [[], ["a"], ["b", "c"], ["a", "c"], ["a", "b", "c"], ["b"]]
    rows = [
        {"text": " ".join(["food", *(words[n] for n in names)]), "label": names}
        for names in sets * 8
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = [f"corpus.path={path}", "corpus.validation_every=7", "tokenizer=wordpiece"]
    folder = train(
        *SMALL, *given, "tokenizer.vocab_size=100", "objective.multi_label=true",
        "objective.class_weights=balanced", "budget.steps=60", "optimizer.lr=0.03",
        "callbacks=[samples]", "global_batch_size=16",
    )  # fmt: skip
    assert folder.summary()["best"]["val/accuracy"] == 1
    assert folder.summary()["best"]["val/matthews"] == pytest.approx(1)
    finished = FinishedRun(folder.path)
    texts = ["food bread cheese", "food", "food apple"]
    found = predict_labels(finished.model, finished.tokenizer, texts, 80)
    assert [sorted(predicted.labels) for predicted in found] == [["b", "c"], [], ["a"]]
    assert "none -> none: food" in (folder.path / "samples.txt").read_text()
