"""Bytes: id = byte value, exact round trip."""

import pytest

from loomlab.tokenizer.base import byte_characters, tokenizer_hash, word_starts
from loomlab.tokenizer.byte import Byte


@pytest.fixture(scope="module")
def tokenizer():
    return Byte().train()


@pytest.mark.parametrize(
    "text", ["plain, text.\n", "caf\u00e9 \u4f60\U0001f600", "a  b\t\r\n\x00", ""]
)
def test_ids_are_the_bytes(tokenizer, text):
    ids = tokenizer.encode(text)
    assert ids == list(text.encode())
    assert tokenizer.decode(ids) == text


def test_special_tokens_follow_the_bytes(tokenizer):
    assert len(tokenizer) == 260
    assert tokenizer.eos_token_id == 256
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id, tokenizer.unk_token_id) == (
        257,
        258,
        259,
    )


def test_every_byte_has_its_own_character():
    assert len(set(byte_characters())) == 256


def test_word_starts_are_what_is_not_alphanumeric(tokenizer):
    starts = word_starts(tokenizer)
    assert starts[[32, 10, ord(","), ord("'"), 256, 257, 258, 259]].all()
    assert not starts[[ord("a"), ord("Z"), ord("0"), ord("_"), 0xC3, 0x80]].any()


def test_documents_are_not_needed():
    def never():
        raise AssertionError("read")
        yield ""

    assert tokenizer_hash(Byte().train(never())) == tokenizer_hash(Byte().train())
