"""Encoding: what is written decodes to the text, special strings do not end documents."""

import logging
from pathlib import Path

import pytest

from loomlab.text.encode import CHUNK_BYTES, encode_documents, tokenize_to
from loomlab.text.rows import framing_tokenizer
from loomlab.text.token_file import TokenFile
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.byte_bpe import ByteBPE

ALICE = (Path(__file__).parents[1] / "data" / "alice.txt").read_text()


@pytest.fixture(scope="module", params=["byte", "byte_bpe"])
def tokenizer(request):
    return Byte().train() if request.param == "byte" else ByteBPE(500).train([ALICE])


def test_documents_come_back_exactly(tmp_path, tokenizer):
    documents = [ALICE[:5000], "\u4f60\u597d \U0001f600\n\t", "a <|endoftext|> b <|pad|>", "x"]
    tokenize_to(tmp_path, documents, tokenizer, "hash")
    file = TokenFile(tmp_path)
    starts = [0, *file.ends.tolist()]
    for start, end, document in zip(starts[:-1], starts[1:], documents, strict=True):
        *ids, last = file.tokens[start:end].tolist()
        assert last == tokenizer.eos_token_id
        assert tokenizer.eos_token_id not in ids
        assert tokenizer.decode(ids) == document
    assert file.manifest.bytes == sum(len(text.encode()) for text in documents)


def test_blank_documents_are_dropped_and_counted(tmp_path, tokenizer, caplog):
    with caplog.at_level(logging.INFO, "loomlab.text"):
        manifest = tokenize_to(tmp_path, ["", "a", " \n", "b", "\t"], tokenizer, "hash")
    assert manifest.documents == 2
    assert "3 blank documents dropped" in caplog.text


def test_many_chunks_keep_the_order(tokenizer):
    documents = [f"{number} " + ALICE[: 2000 + number] for number in range(300)]
    assert sum(map(len, documents)) > 2 * CHUNK_BYTES
    encoded = list(encode_documents(documents, tokenizer))
    assert len(encoded) == 300
    assert [tokenizer.decode(ids[:4]).split()[0] for ids, *_ in encoded[:200:50]] == [
        "0",
        "50",
        "100",
        "150",
    ]
    assert [size for _, size, _ in encoded] == [len(text) for text in documents]
    read = iter(documents)
    next(encode_documents(read, tokenizer))
    assert len(list(read)) > 100, "not all are held at a time"


def test_padding_asked_for_elsewhere_does_not_leak_into_files(tokenizer):
    tokenizer(["a", "a b c d e"], padding=True, truncation=True, max_length=3)
    ((short, *_), (long, *_)) = encode_documents(["a", "a b c d e"], tokenizer)
    assert tokenizer.decode(short) == "a"
    assert tokenizer.decode(long) == "a b c d e"
    ((framed, *_),) = encode_documents(["a b c d e"], framing_tokenizer(tokenizer, 3))
    assert framed.tolist() == long.tolist(), "nor do special tokens of a row"
