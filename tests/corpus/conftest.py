"""A small corpus over the excerpts."""

from pathlib import Path

import pytest

from loomlab.corpus.text import Text
from loomlab.tokenizer.byte import Byte

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make(cache_dir):
    """Build a Text corpus over both excerpts, any argument replaced."""

    def build(**changes):
        settings = {
            "path": str(DATA),
            "passage_bytes": 1000,
            "tokenizer": Byte(),
            "sequence_length": 64,
            "batch_size": 8,
            "seed": 1,
            "cache_dir": cache_dir,
        }
        return Text(**{**settings, **changes})

    return build


@pytest.fixture
def opened(make):
    """The same, prepared and set up."""

    def build(**changes):
        corpus = make(**changes)
        corpus.prepare_data()
        corpus.setup()
        return corpus

    return build
