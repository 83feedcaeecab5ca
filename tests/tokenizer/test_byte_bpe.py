"""Byte BPE: exact round trips, its size, its special tokens, word starts."""

from pathlib import Path

import pytest

from loomlab.tokenizer.base import tokenizer_hash, word_starts
from loomlab.tokenizer.byte_bpe import ByteBPE

ALICE = (Path(__file__).parents[1] / "data" / "alice.txt").read_text()
TEXTS = [
    ALICE[:3000],
    "  two  spaces , and a space before a comma . ",
    "\t\ttabs\r\n\n\n",
    "\u4f60\u597d \u0645\u0631\u062d\u0628\u0627 \U0001f600\u0301",
    "\x00\x01\x7f",
    "",
]


@pytest.fixture(scope="module")
def tokenizer():
    return ByteBPE(600).train([ALICE])


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_exactly(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_size_and_special_tokens(tokenizer):
    assert len(tokenizer) == 600
    special = (tokenizer.eos_token, tokenizer.pad_token, tokenizer.mask_token, tokenizer.unk_token)
    assert special == ("<|endoftext|>", "<|pad|>", "<|mask|>", "<|unk|>")
    assert len({tokenizer.convert_tokens_to_ids(token) for token in special}) == 4
    assert tokenizer.bos_token_id == tokenizer.eos_token_id
    assert tokenizer.model_max_length > 10**9


def test_it_compresses(tokenizer):
    assert len(tokenizer.encode(ALICE)) < len(ALICE) / 2


def test_the_same_text_gives_the_same_tokenizer(tokenizer, tmp_path):
    again = ByteBPE(600).train(iter([ALICE]))
    assert tokenizer_hash(again) == tokenizer_hash(tokenizer)
    assert tokenizer_hash(ByteBPE(599).train([ALICE])) != tokenizer_hash(tokenizer)


def test_the_hash_survives_saving_and_use(tokenizer, tmp_path):
    before = tokenizer_hash(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    loaded = type(tokenizer).from_pretrained(tmp_path)
    assert tokenizer_hash(loaded) == before
    loaded(["a", "b c"], padding=True, truncation=True, max_length=2)
    assert tokenizer_hash(loaded) == before
    assert loaded.decode(loaded.encode(TEXTS[1])) == TEXTS[1]


def test_word_starts(tokenizer):
    starts = word_starts(tokenizer)
    assert starts.shape == (600,)
    vocab = tokenizer.get_vocab()
    for token in ("\u0120the", "\u0120", "\u010a", ",", '"', "<|mask|>"):
        assert starts[vocab[token]], token
    for token in ("ing", "e", "7", "_", "\u00c3"):
        assert not starts[vocab[token]], token


def test_word_starts_cut_text_into_words(tokenizer):
    ids = tokenizer.encode(" Alice was beginning to get very tired, remarkably")
    starts = word_starts(tokenizer)[ids]
    words, text = [], ""
    for index, begins in zip(ids, starts, strict=True):
        if begins and text:
            words.append(text)
            text = ""
        text += tokenizer.decode([index])
    assert [*words, text] == [
        *(" Alice", " was", " beginning", " to", " get", " very", " tired", ",", " remarkably")
    ]


def test_settings_name_the_class_and_the_size():
    assert ByteBPE(600).settings() == {
        "class": "loomlab.tokenizer.byte_bpe.ByteBPE",
        "vocab_size": 600,
    }
