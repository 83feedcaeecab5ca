"""Corpus `tagged`: rows of words with their labels, exactly resumable, or packed as any text."""

import logging
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from loomlab.corpus.base import Corpus
from loomlab.corpus.tagged import Tagged
from loomlab.errors import InputError
from loomlab.text.samples import Samples
from loomlab.text.tagged_rows import TaggedBatch
from loomlab.tokenizer.byte import Byte

WORDS = Path(__file__).parents[1] / "data" / "words.conll"
NAMES = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
Opened = Callable[..., Tagged]


@pytest.fixture
def opened(cache_dir: Path) -> Opened:
    """Tagged sentences, prepared and set up, any argument replaced."""

    def build(**changes: object) -> Tagged:
        settings = {
            "path": str(WORDS), "tokenizer": Byte(), "sequence_length": 60, "batch_size": 8,
            "seed": 1, "cache_dir": cache_dir, "reads": "rows",
        }  # fmt: skip
        corpus = Tagged(**{**settings, **changes})
        corpus.prepare_data()
        corpus.setup()
        return corpus

    return build


def test_it_declares_tags_and_no_label_of_the_whole():
    assert (Tagged.tagged, Tagged.labelled) == (True, False)
    assert Corpus.tagged is False


def test_every_word_comes_with_its_label(opened: Opened):
    corpus = opened()
    labels = corpus.label_set
    assert labels is not None
    assert labels.names == NAMES
    words, tags = list(corpus.source.words("train")), list(corpus.labels("train"))
    assert corpus.samples == labels.rows == len(words) == 108
    assert sum(labels.counts) == sum(map(len, words))
    for batch in islice(corpus.train_dataloader(), 13):
        assert isinstance(batch, TaggedBatch)
        for tokens, found, index in zip(
            batch.tokens_BT.tolist(), batch.tags_BT.tolist(), batch.index_B.tolist(), strict=True
        ):
            at = [place for place, tag in enumerate(found) if tag >= 0]
            assert [chr(tokens[place]) for place in at] == [word[0] for word in words[index]]
            assert tuple(NAMES[found[place]] for place in at) == tags[index].labels


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_the_stream_goes_on_where_it_was(opened: Opened, workers: int):
    def identities(corpus: Tagged, batches: int) -> list[list]:
        found = islice(corpus.train_dataloader(), batches)
        return [[b.index_B.tolist(), b.epoch_B.tolist(), b.tags_BT.tolist()] for b in found]

    whole = identities(opened(), 20)
    resumed = opened(workers=workers)
    resumed.load_state_dict({**opened().state_dict(), "consumed": 13 * 8})
    assert identities(resumed, 7) == whole[13:]


def test_other_tags_are_another_stream(opened: Opened, tmp_path: Path):
    path = tmp_path / "other.conll"
    path.write_text(WORDS.read_text().replace("Ada B-PER", "Ada B-LOC"))
    resumed = opened(path=str(path))
    resumed.load_state_dict(opened().state_dict())
    with pytest.raises(InputError, match="another stream of samples"):
        resumed.check_resumed()


def test_packed_it_is_text_as_any(opened: Opened):
    corpus = opened(reads="windows")
    assert corpus.label_set is None
    assert isinstance(next(iter(corpus.train_dataloader())), Samples)
    assert corpus.train_tokens.folder == opened().train_tokens.folder


def test_what_is_cut_is_said_once(opened: Opened, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    opened(sequence_length=12).setup()
    (said,) = [m for m in caplog.messages if m.startswith("train rows: 108")]
    assert " words lie past that and are not scored" in said


def test_a_label_of_held_out_rows_alone_is_told(
    opened: Opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "a.jsonl"
    rows = ['{"tokens": ["a", "b"], "tags": ["O", "B-X"]}'] * 9
    path.write_text("\n".join([*rows, '{"tokens": ["c"], "tags": ["B-Y"]}']))
    corpus = opened(path=str(path))
    assert corpus.label_set is not None
    assert corpus.label_set.names == ("B-X", "B-Y", "O")
    assert corpus.label_set.counts == (9, 0, 9)
    (said,) = [m for m in caplog.messages if "held-out" in m]
    assert said == f"{path}: a label is in held-out rows alone, and cannot be learned: B-Y"


def test_numbers_are_labels_by_name(opened: Opened, tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"words": ["a", "b"], "ner": [0, 1]}\n' * 20)
    keys = {"path": str(path), "text_key": "words", "label_key": "ner"}
    corpus = opened(labels=["O", "B-X"], **keys)
    assert corpus.label_set is not None
    assert corpus.label_set.names == ("O", "B-X")
