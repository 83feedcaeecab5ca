"""Readers: what they return, and where exactly they say a file is bad."""

import gzip
import json

import pytest

from loomlab.errors import InputError
from loomlab.text.reading import read_jsonl, read_lines

ROWS = ["one", "tw\u00f6\nlines", "", "four"]
BLANK = 2  # after so many rows there is a blank line


def test_lines_of_plain_and_gzip(tmp_path):
    data = "\ufeffa\r\n\u00e9\nend".encode()
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    assert list(read_lines(plain)) == list(read_lines(packed)) == ["a\r\n", "\u00e9\n", "end"]


def test_rows_of_jsonl_plain_and_gzip(tmp_path):
    lines = [json.dumps({"id": 1, "body": row}) for row in ROWS]
    data = "\n".join([*lines[:BLANK], " ", *lines[BLANK:]]) + "\n\n"
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_text(data)
    packed.write_bytes(gzip.compress(data.encode()))
    assert list(read_jsonl(plain, "body")) == list(read_jsonl(packed, "body")) == ROWS


BAD_TEXT = {
    "invalid": (b"good\nbad \xff here\n", r"line 2, byte 9: 0xff is not utf-8.*corpus\.errors"),
    "marked": (b"\xef\xbb\xbfgood\nbad \xff\n", r"line 2, byte 12: 0xff is not utf-8"),
    "nul": (b"good\nab\0c\n", r"line 2, byte 7: a NUL byte"),
    "utf16": ("text\n".encode("utf-16"), r"is UTF-16.*iconv"),
}


@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_text_is_placed(tmp_path, case):
    data, message = BAD_TEXT[case]
    path = tmp_path / "bad.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"bad\.txt.*{message}"):
        list(read_lines(path))


def test_other_encoding_and_replacement(tmp_path, caplog):
    path = tmp_path / "a.txt"
    path.write_bytes(b"caf\xe9\n")
    assert list(read_lines(path, "latin-1")) == ["caf\u00e9\n"]
    assert list(read_lines(path, errors="replace")) == ["caf\ufffd\n"]
    path.write_bytes("known \ufffd\n".encode() + b"\xff\xff\n\xff\n")
    assert "".join(read_lines(path, errors="replace")).count("\ufffd") == 4
    assert [line.partition(": ")[2] for line in caplog.messages] == [
        f"{n} bytes that are not utf-8 were replaced" for n in (1, 3)
    ]


BAD_ROWS = {
    "not_json": ('{"text": "a"}\n{"text": \n', r"line 2: not JSON"),
    "not_object": ('{"text": "a"}\n["a"]\n', r"line 2: a row must be an object"),
    "no_key": ('{"text": "a"}\n{"body": "b"}\n', r'line 2: no key "text".*keys with text: body'),
    "number": ('{"text": 3}\n', r'line 1: int, not text, at key "text"'),
    "half": ('{"text": "a"}\n{"text": "b\\ud83d"}\n', r"line 2: \\ud83d is half of a .*replace"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_placed(tmp_path, case):
    data, message = BAD_ROWS[case]
    path = tmp_path / "bad.jsonl"
    path.write_text(data)
    with pytest.raises(InputError, match=rf"bad\.jsonl, {message}"):
        list(read_jsonl(path, "text"))


def test_null_is_blank_and_halves_of_characters_are_replaced(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    rows = ["null", r'"\ud83d\ude00"', r'"b\ud83d c\ude00"', r'"\udfff"']
    path.write_text("".join(f'{{"text": {row}}}\n' for row in rows))
    found = list(read_jsonl(path, "text", errors="replace"))
    assert found == ["", "\U0001f600", "b\ufffd c\ufffd", "\ufffd"]
    assert [f"{path}: halves" in line for line in caplog.messages] == [True], "said once a file"


def test_damaged_gzip_is_named(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"text\n" * 1000)[:-9])
    with pytest.raises(InputError, match=r"a\.txt\.gz is a damaged gzip"):
        list(read_lines(path))
