"""Corpus `labelled`: the settings reach the files, and label names are given or collected."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from loomlab.corpus.base import Corpus
from loomlab.corpus.labelled import Labelled
from loomlab.errors import InputError
from loomlab.tokenizer.byte import Byte

REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"


def make(cache_dir: Path, **settings: object) -> Labelled:
    runtime = {"sequence_length": 32, "batch_size": 2, "seed": 1, "cache_dir": cache_dir}
    given = {"path": str(REVIEWS), "reads": "rows", **settings}
    return Labelled(**given, tokenizer=Byte(), **runtime)


def test_it_declares_labels_and_others_do_not():
    assert Labelled.labelled is Labelled.numbered is True
    assert Corpus.labelled is Corpus.numbered is False


def test_every_nth_row_is_held_out(cache_dir: Path):
    corpus = make(cache_dir, validation_every=4)
    train, validation = (list(corpus.documents(s)) for s in ("train", "validation"))
    assert (len(train), len(validation)) == (90, 30)
    assert not set(train) & set(validation)
    assert [len(list(corpus.labels(s))) for s in ("train", "validation")] == [90, 30]


def test_keys_and_given_names(tmp_path: Path, cache_dir: Path):
    path = tmp_path / "a.csv"
    path.write_text("body,stars\n" + "fine,1\npoor,0\n" * 6)
    keys = {"path": str(path), "text_key": "body", "label_key": "stars", "validation_every": 3}
    corpus = make(cache_dir, labels=["neg", "pos"], **keys)
    corpus.prepare_data()
    assert corpus.label_set is not None
    assert corpus.label_set.names == ("neg", "pos")
    assert corpus.label_set.counts == (4, 4)
    assert corpus.label_set.row_length == 32
    plain = make(cache_dir, **keys)
    plain.prepare_data()
    assert plain.label_set is not None
    assert plain.label_set.names == ("0", "1")


def test_settings_change_the_fingerprint(cache_dir: Path):
    prints = {
        make(cache_dir, **settings).fingerprint()
        for settings in ({}, {"validation_every": 3}, {"separator": "|"}, {"label_key": "text"})
    }
    assert len(prints) == 4


def test_files_that_have_no_rows_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for name in ("a.csv", "notes.md", "more.txt"):
        (tmp_path / name).write_text("text,label\n")
    make(tmp_path, path=str(tmp_path), validation_path=f"{tmp_path}/*").fetch()
    assert [said.partition(": ")[0] for said in caplog.messages] == [
        f"corpus.path={tmp_path}",
        f"corpus.validation_path={tmp_path}/*",
    ]
    assert all(" 2 files left out" in said for said in caplog.messages)


def test_a_split_without_rows_is_refused(cache_dir: Path):
    corpus = make(cache_dir, validation_every=1000)
    with pytest.raises(InputError, match="the validation part of the corpus has 0 documents"):
        corpus.prepare_data()


def test_labels_may_be_numbers(tmp_path: Path, cache_dir: Path):
    settings = {"path": str(REVIEWS.with_name("meals.csv")), "label_key": "stars"}
    corpus = make(cache_dir, **settings, reads="numbers")
    corpus.prepare_data()
    corpus.setup()
    assert corpus.label_set is not None
    assert (corpus.label_set.names, corpus.label_set.counts) == (("stars",), (108,))
    numbers = [row.values[0] for row in corpus.source.numbers("train")]
    assert corpus.label_set.spread is not None
    assert corpus.label_set.spread.mean[0] == pytest.approx(sum(numbers) / 108)
    for batch in islice(corpus.train_dataloader(), 9):
        assert batch.labels_BC.dtype == torch.float64
        assert batch.labels_BC[:, 0].tolist() == [numbers[n] for n in batch.index_B.tolist()]
    named = make(cache_dir, **settings, reads="numbers", labels=["rating"])
    named.prepare_data()
    assert named.label_set is not None
    assert named.label_set.names == ("rating",)
    changed = tmp_path / "meals.csv"
    changed.write_text(Path(settings["path"]).read_text().replace(",1.75\n", ",1.5\n", 1))
    other = make(cache_dir, **{**settings, "path": str(changed)}, reads="numbers")
    other.prepare_data()
    other.setup()
    mine, theirs = corpus._stream_identity(), other._stream_identity()
    assert [name for name in mine if mine[name] != theirs[name]] == ["labels"]
