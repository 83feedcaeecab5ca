"""What is wrong with files of tagged words is said by the gate."""

from pathlib import Path

import pytest

from loomlab.compose.gate import check
from loomlab.text.tagged_check import problems

GOOD = "a O\nb B-X\n\n" * 20


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD + "c\n", "a.conll, line 61: 'c' alone"),
        ("a O\n\n" * 20, "a.conll: all words of 18 training rows are labelled 'O'"),
        ("\n", "a.conll: no row is there"),
        ("", "a.conll is empty (0 bytes)"),
    ],
)
def test_the_gate_refuses(tmp_path: Path, content: str, words: str):
    path = tmp_path / "a.conll"
    path.write_text(content)
    given = ["objective=token_classification", "corpus=tagged", f"corpus.path={path}"]
    assert words in check(given).message()


def test_what_is_not_used_is_not_looked_at(tmp_path: Path):
    path = tmp_path / "a.conll"
    path.write_text(GOOD)
    assert problems({"path": str(path), "validation_every": 4}) == []
    path.write_text("a O\n\n" * 20)
    assert problems({"path": str(path), "validation_every": 4})
    assert problems({"path": str(path)}, reads="windows") == []
    assert problems({"path": "NOWHERE.csv"})[0].startswith("path: NOWHERE.csv")
