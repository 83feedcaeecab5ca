"""WordPiece: BERT's cut, the same vocabulary each time, word starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from loomlab.tokenizer.base import tokenizer_hash, word_starts
from loomlab.tokenizer.wordpiece import WordPiece

DATA = Path(__file__).parents[1] / "data" / "alice.txt"
ALICE = DATA.read_text()


@pytest.fixture(scope="module")
def tokenizer():
    return WordPiece(600).train([ALICE])


def test_size_and_special_tokens(tokenizer):
    assert len(tokenizer) == 600
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.convert_tokens_to_ids(names) == [0, 1, 2, 3, 4]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.mask_token_id) == (0, 3, 4)
    assert tokenizer.unk_token_id == 1
    assert sorted(tokenizer.all_special_ids) == [0, 1, 2, 3, 4]


def test_words_come_back_up_to_white_space(tokenizer):
    text = "Alice was beginning to get very tired"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_unknown_characters_become_unk(tokenizer):
    assert tokenizer.encode("\u2603") == [tokenizer.unk_token_id]


def test_a_long_word_is_split_and_not_lost():
    """Thai has no spaces between words: a phrase is a word of any length."""
    letters = [chr(number) for number in range(0x0E01, 0x0E2F)]
    text = "".join(letters[(7 * i + i // 46) % 46] for i in range(250))
    ours = WordPiece(300).train([text, "abc"])
    ids = ours.encode(text)
    assert ours.unk_token_id not in ids
    assert ours.decode(ids).replace(" ", "") == text
    assert word_starts(ours)[ids].sum() == 3


def test_lowercase(tokenizer):
    lower = WordPiece(600, lowercase=True).train([ALICE])
    assert lower.encode("ALICE") == lower.encode("alice")
    assert tokenizer.encode("ALICE") != tokenizer.encode("alice")
    assert not any(token != token.lower() for token in lower.get_vocab() if token[0] != "[")


def test_other_processes_learn_the_same_vocabulary(tokenizer):
    """The library alone numbers characters in hash order, another in each process."""
    code = (
        "import sys; from loomlab.tokenizer.wordpiece import WordPiece;"
        "from loomlab.tokenizer.base import tokenizer_hash;"
        "print(tokenizer_hash(WordPiece(600).train([open(sys.argv[1]).read()])))"
    )
    command = [sys.executable, "-c", code, str(DATA)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == tokenizer_hash(tokenizer)


def test_word_starts(tokenizer):
    starts = word_starts(tokenizer)
    for token, index in tokenizer.get_vocab().items():
        assert starts[index] == (not token.startswith("##")), token
    ids = tokenizer.encode("Alice remarkably, yes")
    assert starts[ids].sum() == 4


def test_save_and_load(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = type(tokenizer).from_pretrained(tmp_path)
    assert tokenizer_hash(loaded) == tokenizer_hash(tokenizer)
    assert loaded.encode("Alice, the cat") == tokenizer.encode("Alice, the cat")
