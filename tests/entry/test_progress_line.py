"""A line on the terminal that says how far a verb is, and is gone when it ends."""

import io

import pytest
from tests.clock import Clock

from loomlab.entry.progress_line import ERASED, SECONDS, ProgressLine


class Terminal(io.StringIO):
    """A standard error or output that somebody looks at."""

    def isatty(self) -> bool:
        return True


def looked_at(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal for the standard error, and a clock that ticks faster than the line is drawn."""
    monkeypatch.setattr("loomlab.entry.progress_line.time", Clock(0.6 * SECONDS))
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    return terminal


def test_it_is_drawn_now_and_then_and_taken_away(monkeypatch: pytest.MonkeyPatch):
    errors = looked_at(monkeypatch)
    with ProgressLine("texts", lambda: 1200) as line:
        for _ in range(4):
            line.make_room()
            line.advance()
    drawn = errors.getvalue().removesuffix(ERASED).split("\r")
    assert drawn == ["", *(f"{n} of 1,200 texts\x1b[K" for n in (0, 2, 4))]


def test_without_a_total_it_counts(monkeypatch: pytest.MonkeyPatch):
    errors = looked_at(monkeypatch)
    with ProgressLine("texts", lambda: None):
        pass
    assert errors.getvalue() == f"\r0 texts\x1b[K{ERASED}"


def test_it_is_no_part_of_a_line_that_is_printed(monkeypatch: pytest.MonkeyPatch):
    """Both on one terminal: what is printed begins where the line was."""
    errors = looked_at(monkeypatch)
    monkeypatch.setattr("sys.stdout", errors)
    with ProgressLine("texts", lambda: 1) as line:
        line.make_room()
        print("good")
        line.advance()
    assert errors.getvalue() == f"\r0 of 1 texts\x1b[K{ERASED}good\n"


def test_it_is_gone_before_an_error_is_told(monkeypatch: pytest.MonkeyPatch):
    errors = looked_at(monkeypatch)
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
