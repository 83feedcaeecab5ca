"""What holds for every option and for tokenizers made elsewhere."""

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from loomlab.tokenizer.base import Tokenizer, word_starts, wrap


def test_word_starts_of_sentencepiece_vocabularies():
    vocab = {"<unk>": 0, "\u2581the": 1, "ing": 2, "\u2581": 3}
    backend = Backend(models.WordLevel(vocab, unk_token="<unk>"))
    for decoder in (decoders.Metaspace(), decoders.Sequence([decoders.Metaspace()])):
        backend.decoder = decoder
        starts = word_starts(wrap(backend, unk_token="<unk>"))
        assert starts.tolist() == [True, True, False, True]


def test_the_base_cannot_be_used_itself():
    with pytest.raises(TypeError, match="train"):
        Tokenizer()
