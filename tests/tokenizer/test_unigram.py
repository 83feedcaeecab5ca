"""Unigram: exact round trips, the same vocabulary each time, word starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from loomlab.text.encode import encode_documents
from loomlab.tokenizer.base import tokenizer_hash, word_starts
from loomlab.tokenizer.unigram import Unigram

DATA = Path(__file__).parents[1] / "data" / "alice.txt"
ALICE = DATA.read_text()


@pytest.fixture(scope="module")
def tokenizer():
    return Unigram(800).train([ALICE])


def test_size_and_special_tokens(tokenizer):
    assert len(tokenizer) == 800
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 1)
    assert (tokenizer.mask_token_id, tokenizer.unk_token_id) == (2, 3)
    assert tokenizer.bos_token_id == tokenizer.eos_token_id


def test_pieces_are_words_and_their_parts(tokenizer):
    vocab = tokenizer.get_vocab()
    assert "\u2581Alice" in vocab
    assert "\u2581the" in vocab
    assert not any("\n" in piece and len(piece) > 1 for piece in vocab)
    assert len(tokenizer.encode(ALICE)) < len(ALICE) / 2


@pytest.mark.parametrize(
    "text",
    [
        ALICE[:3000],
        "  two  spaces \n\n\tand a tab ",
        "snow \u2603, \u4e16\u754c and \U0001f600!",
        "<0x41> is spelled, <|endoftext|> too",
        "NUL \x00 and \ufeff",
    ],
)
def test_text_comes_back_exactly(tokenizer, text):
    ((ids, size, _),) = encode_documents([text], tokenizer)
    assert tokenizer.decode(ids.tolist()) == text
    assert size == len(text.encode())
    assert not set(ids.tolist()) & {0, 1, 2, 3}


def test_other_processes_learn_the_same_vocabulary():
    """The library alone numbers rare characters in hash order, another in each process."""
    code = (
        "import sys; from loomlab.tokenizer.unigram import Unigram;"
        "from loomlab.tokenizer.base import tokenizer_hash; text = open(sys.argv[1]).read();"
        "print(*(tokenizer_hash(Unigram(n).train([text])) for n in (600, 2000)))"
    )
    here = [tokenizer_hash(Unigram(n).train([ALICE])) for n in (600, 2000)]
    done = subprocess.run(
        [sys.executable, "-c", code, str(DATA)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == here


def test_a_small_vocabulary_is_never_exceeded():
    many = "".join(map(chr, range(0x4E00, 0x5200)))
    tokenizer = Unigram(512).train([many, ALICE])
    assert len(tokenizer) <= 512
    assert tokenizer.decode(tokenizer.encode(many)) == many


def test_word_starts(tokenizer):
    starts = word_starts(tokenizer)
    ids = tokenizer.encode("a little door\nAlice thought")
    assert starts[ids].sum() == 4  # the line end begins the unit of the word behind it
    assert starts[tokenizer.eos_token_id]


def test_save_and_load(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = type(tokenizer).from_pretrained(tmp_path)
    assert tokenizer_hash(loaded) == tokenizer_hash(tokenizer)
    assert loaded.encode("Alice, the cat") == tokenizer.encode("Alice, the cat")
