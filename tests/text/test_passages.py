"""Passages keep the text; no document is in both parts."""

from pathlib import Path
from typing import Any

import pytest

from loomlab.text.passages import _short_lines, capped, held_out, passages, separated

ALICE = (Path(__file__).parents[1] / "data" / "alice.txt").read_text()


def cut(text, size):
    return list(passages(text.splitlines(keepends=True), size))


@pytest.mark.parametrize("size", [100, 400, 4000])
def test_nothing_but_blank_lines_is_lost(size):
    found = cut(ALICE, size)
    assert "".join("".join(found).split()) == "".join(ALICE.split())
    assert max(len(text.encode()) for text in found) <= size
    for text in found:
        assert text in ALICE  # kept as it is, line breaks included


def test_paragraphs_are_kept_whole_and_joined():
    text = "\n\nfirst\nline\n\n\n  second\n \nthird\n"
    assert cut(text, 100) == ["first\nline\n\n\n  second\n \nthird"]
    assert cut(text, 22) == ["first\nline\n\n\n  second", "third"]
    assert cut(text, 12) == ["first\nline", "  second", "third"]


@pytest.mark.parametrize(
    ("text", "size", "found"),
    [
        ("ab\n\ncd\n", 6, ["ab\n\ncd"]),
        ("ab\n\ncd\n", 5, ["ab", "cd"]),
        ("longer\n\nab\n\ncd\n", 6, ["longer", "ab\n\ncd"]),
        ("ab\n\ncd\nef\n", 7, ["ab", "cd\nef"]),  # lines of one paragraph stay together
        ("ab\ncd\n", 5, ["ab\ncd"]),
        ("ab\ncd\n", 4, ["ab", "cd"]),
        ("zz\n\nab\ncd\n", 5, ["zz", "ab\ncd"]),
    ],
)
def test_a_passage_is_as_long_as_it_may_be(text, size, found):
    assert cut(text, size) == found


def test_lines_between_documents():
    text = "\n\n  one\r\n\n more \n -- \n--\n\n--\ntwo -- three\n\n"
    lines = text.splitlines(keepends=True)
    assert list(separated(lines, "--")) == ["  one\n\n more", "two -- three"]
    assert list(separated(["a\n", "--"], "--")) == ["a"]
    assert list(separated(["--\n", "\n"], "--")) == []


def test_windows_line_ends_become_newlines():
    assert cut("a\r\nb\r\n\r\nc\r\n", 100) == ["a\nb\n\nc"]


def test_a_long_line_is_cut_at_spaces():
    line = "word " * 1000
    found = cut(line, 400)
    assert len(found) > 10
    assert all(set(text.split()) == {"word"} for text in found)
    assert sum(len(text.split()) for text in found) == 1000


def test_a_long_line_without_spaces_is_cut_and_complete():
    found = cut("\u00e9" * 5000, 400)
    assert "".join(found) == "\u00e9" * 5000
    assert all(len(text.encode()) <= 400 for text in found)


class Measured(str):
    """A line that counts how many of its characters are looked at or copied."""

    touched = 0

    def __getitem__(self, where: Any) -> "Measured":
        part = Measured(super().__getitem__(where))
        Measured.touched += len(part)
        return part

    def encode(self, *how: Any) -> bytes:
        Measured.touched += len(self)
        return super().encode(*how)

    def rfind(self, what: str, *where: Any) -> int:
        start, end, _ = slice(*where).indices(len(self))
        Measured.touched += end - start
        return super().rfind(what, *where)


@pytest.mark.parametrize("word", ["\u4e2d", "h\u00e9llo ", "word "])
def test_a_line_as_long_as_its_file_is_not_gone_through_for_each_piece(word: str):
    touched = []
    for size in (20_000, 80_000):
        line = Measured(word * (size // len(word)))
        Measured.touched = 0
        pieces = list(_short_lines([line], 400))
        assert "".join(pieces) == line
        assert len(pieces) > 100
        touched.append(Measured.touched / len(line))
    assert touched[1] < 8
    assert touched[1] == pytest.approx(touched[0], rel=0.1), "four times the line, as much again"


def test_blank_text_has_no_passages():
    assert cut("\n \n\t\n\n", 100) == []


def test_held_out_parts_are_disjoint_and_complete():
    documents = [f"d{number}" for number in range(45)]
    train, validation = (list(held_out(documents, 20, s)) for s in ("train", "validation"))
    assert validation == ["d19", "d39"]
    assert sorted(train + validation) == sorted(documents)


def test_cap_takes_whole_documents():
    assert list(capped(["ab", "\u00e9\u00e9", "c"], 6)) == ["ab", "\u00e9\u00e9"]
    assert list(capped(["ab", "\u00e9\u00e9", "c"], 7)) == ["ab", "\u00e9\u00e9", "c"]
