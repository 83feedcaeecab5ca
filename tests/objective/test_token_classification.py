"""Classification of words: its loss, its scores, what it refuses, and that it learns."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny_model import BACKBONES
from transformers import AutoModelForTokenClassification, AutoTokenizer

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.objective.token_classification import TokenClassification
from loomlab.run.folder import RunFolder
from loomlab.text.label_set import LabelSet
from loomlab.text.tagged_rows import TaggedBatch

WORDS = Path(__file__).parents[1] / "data" / "words.conll"
LABELS = LabelSet(("O", "B-X", "I-X"), (6, 3, 1), 5, 24)
NO = -100
SMALL = [
    "objective=token_classification", "corpus=tagged", f"corpus.path={WORDS}",
    "sequence_length=80", "trainer.limit_val_batches=null",
    "model.layers=1", "model.width=16", "model.heads=2",
]  # fmt: skip
TAGS = [[0, NO, 1, 2, NO, 0], [NO, 1, NO, 0, NO, NO], [2, NO, NO, NO, NO, NO]]


@pytest.fixture
def tagger(objective: Callable[..., Any]) -> Callable[..., TokenClassification]:
    return partial(objective, TokenClassification, label_set=LABELS)


def rows(chosen: list[int], length: int = 6) -> TaggedBatch:
    """Some of three rows of 6, 4 and 1 tokens, padded to a length."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(97, 123, (3, 6), generator=generator)
    mask = (torch.arange(6) < torch.tensor([[6], [4], [1]])).long()
    pad = (0, length - 6)
    index = torch.tensor(chosen)
    parts = (
        torch.nn.functional.pad(part[index], pad, value=value)
        for part, value in ((tokens, 0), (mask, 0), (torch.tensor(TAGS), NO))
    )
    return TaggedBatch(*parts, index, index * 0)


def test_words_are_scored_at_their_first_tokens(tagger: Callable[..., TokenClassification]):
    module = tagger()
    batch = module.collate(rows([0, 1, 2]))
    assert batch["word_index"].tolist() == [0, 2, 3, 5, 7, 9, 12]
    assert batch["targets"].tolist() == [0, 1, 2, 0, 1, 0, 2]
    logits, _ = module.predict(batch)
    whole = module.model(batch["input_ids"], attention_mask=batch["attention_mask"])
    assert torch.equal(logits, whole.logits.flatten(0, 1)[batch["word_index"]])
    labels = torch.tensor(TAGS)
    told = module.model(batch["input_ids"], batch["attention_mask"], labels=labels).loss
    torch.testing.assert_close(module.loss(*module.predict(batch)), told)
    assert module.weight(batch) == pytest.approx(7 / (3 * 10 / 5))
    torch.testing.assert_close(module.training_step(batch, 0), told * module.weight(batch))
    nothing = torch.empty(0, 3), torch.empty(0, dtype=torch.int64)
    assert module.loss(*nothing) == 0


def held_out(module: TokenClassification, *batches: TaggedBatch) -> dict[str, float]:
    scores = module.new_scores()
    for batch in batches:
        module.score(module.collate(batch), scores)
    return scores.result()


def test_padding_order_and_batches_do_not_matter(tagger: Callable[..., TokenClassification]):
    module = tagger()
    together = held_out(module, rows([0, 1, 2]))
    assert set(together) == set(TokenClassification.metrics)
    assert held_out(module, rows([2, 0, 1], 20)) == pytest.approx(together, abs=1e-5)
    assert held_out(module, rows([1]), rows([2], 9), rows([0])) == pytest.approx(
        together, abs=1e-5
    )


def test_micro_batches_step_as_one(tagger: Callable[..., TokenClassification]):
    module = tagger()
    gradients = []
    for cut in ([[0, 1, 2]], [[2], [0], [1]]):
        module.zero_grad()
        for part in cut:
            batch = module.collate(rows(part, 7))
            module.step_mean.add(module.weight(batch))
            (module.training_step(batch, 0) / len(cut)).backward()
        module.step_mean.correct(module.parameters(), lambda number: number)
        gradients.append(module.model.score.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_entities_are_those_of_rows(tagger: Callable[..., TokenClassification]):
    """One of I-X alone, twice: what follows is another row's."""
    module = tagger()
    scores = module.new_scores()
    module.score(module.collate(rows([2, 2])), scores)
    assert scores.sums[-3] == 2
    strict = tagger(strict_entities=True)
    scores = strict.new_scores()
    strict.score(strict.collate(rows([2, 2])), scores)
    assert scores.sums[-3] == 0


def test_rows_are_shown_word_by_word(tagger: Callable[..., TokenClassification]):
    module = tagger()
    module.score(module.collate(rows([0, 1])), module.new_scores())
    first, second = module.sample("", 1).splitlines()
    assert [part.split("->")[0].rpartition("/")[2] for part in second.split()] == ["B-X", "O"]
    assert first.count("/") >= 4


def test_without_tags_it_says_what_it_needs():
    with pytest.raises(InputError, match="needs a corpus of tagged words"):
        TokenClassification(label_set=None)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["corpus=text", f"corpus.path={WORDS}"], "needs corpus.tagged to be True: its words"),
        (["corpus=rotten_tomatoes"], "with objective=token_classification use corpus=tagged"),
        ([*SMALL[1:3], "model=ngram"], "counting n-grams does not tell labels apart"),
        ([*SMALL[1:3], "corpus.document_mask=true"], "a row is one document"),
        ([*SMALL[1:3], "metric=val/perplexity"], "reports no 'val/perplexity'"),
        ([*SMALL[1:3], "corpus.labels=[O,B-PER]"], "the label 'B-LOC' is not one of"),
        ([*SMALL[1:3], "model=hf", "model.architecture_type=vit"], "no classifier of tokens"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(overrides: list[str], words: str):
    assert words in check(["objective=token_classification", *overrides]).message()


def test_a_label_of_the_whole_is_another_objective():
    message = check(["objective=classification", *SMALL[1:3]]).message()
    assert "needs corpus.labelled to be True: its documents have no labels to learn" in message


@BACKBONES
def test_it_learns_and_the_saved_model_agrees(train: Callable[..., RunFolder], model: list[str]):
    sizes = [o for o in SMALL if not ("model=hf" in model and o.startswith("model."))]
    folder = train(
        *sizes, *model, "budget.steps=40", "optimizer.lr=0.02", "global_batch_size=16",
        "callbacks=[checkpoint,samples]", "tokenizer=wordpiece", "tokenizer.vocab_size=200",
    )  # fmt: skip
    best = folder.summary()["best"]
    assert set(best) == {f"val/{name}" for name in TokenClassification.metrics}
    assert best["val/f1"] >= 0.9, "most words tell their label"
    assert "/B-LOC" in (folder.path / "samples.txt").read_text()
    saved = AutoModelForTokenClassification.from_pretrained(folder.model).eval()
    assert saved.config.id2label == dict(enumerate(("B-LOC", "B-PER", "I-LOC", "I-PER", "O")))
    tokenizer = AutoTokenizer.from_pretrained(folder.model)
    row = tokenizer("In Oslo , Ada slept .", return_offsets_mapping=True, return_tensors="pt")
    with torch.no_grad():
        said = saved(row.input_ids, attention_mask=row.attention_mask).logits[0].argmax(-1)
    begins = [span[0] for span in row.offset_mapping[0].tolist()]
    names = [saved.config.id2label[said[begins.index(place)].item()] for place in (3, 8, 10)]
    assert names == ["B-LOC", "O", "B-PER"]
