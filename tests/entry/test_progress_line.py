"""A line on the terminal that says how far a verb is, and is gone when it ends."""

import io

import pytest
from tests.clock import Clock

from loomlab.entry.progress_line import ERASED, SECONDS, ProgressLine


class Terminal(io.StringIO):
    """A standard error or output that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal for the standard error, and a clock of half an interval from look to look."""
    monkeypatch.setattr("loomlab.entry.progress_line.time", Clock(SECONDS / 2))
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    return terminal


def test_it_is_drawn_now_and_then_and_taken_away(errors: Terminal):
    with ProgressLine("texts", lambda: 1200) as line:
        for _ in range(4):
            line.make_room()
            line.advance()
    drawn = errors.getvalue().removesuffix(ERASED).split("\r")
    assert drawn == ["", *(f"{n} of 1,200 texts\x1b[K" for n in (0, 2, 4))]


def test_without_a_total_it_counts(errors: Terminal):
    with ProgressLine("texts", lambda: None):
        pass
    assert errors.getvalue() == f"\r0 texts\x1b[K{ERASED}"


def test_it_is_no_part_of_a_line_that_is_printed(
    errors: Terminal, monkeypatch: pytest.MonkeyPatch
):
    """Both on one terminal: what is printed begins where the line was."""
    monkeypatch.setattr("sys.stdout", errors)
    with ProgressLine("texts", lambda: 1) as line:
        line.make_room()
        print("good")
        line.advance()
    assert errors.getvalue() == f"\r0 of 1 texts\x1b[K{ERASED}good\n"


def test_it_is_gone_before_an_error_is_told(errors: Terminal):
    with pytest.raises(KeyError), ProgressLine("texts", lambda: 1):
        raise KeyError
    assert errors.getvalue().endswith(ERASED)


def test_where_nobody_looks_nothing_is_counted_nor_said(monkeypatch: pytest.MonkeyPatch):
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with ProgressLine("texts", lambda: 1 // 0) as line:
        line.make_room()
        line.advance()
    assert file.getvalue() == ""
