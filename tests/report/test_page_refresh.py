"""The page of a running sweep: there from its start, written anew when it is old."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.clock import Clock

from loomlab.report import page_refresh
from loomlab.report.page_refresh import EVERY, PAUSE, PageRefresh


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(tick=0.0)
    monkeypatch.setattr(page_refresh, "time", clock)
    return clock


def test_written_at_once_and_again_when_it_is_old(
    make_sweep: Callable[..., Path], tmp_path: Path, clock: Clock
):
    folder = make_sweep(tmp_path / "sweep", done=1, rows=2)
    refresh, page = PageRefresh(folder), folder / "report.html"
    for seconds, written in ((0.0, True), (EVERY - 1, False), (1.0, True), (1.0, False)):
        page.unlink(missing_ok=True)
        clock.now += seconds
        refresh()
        assert page.exists() == written, seconds


def test_one_that_takes_long_is_written_seldom(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
):
    written: list[float] = []

    def slowly(folder: Path) -> None:
        written.append(clock.now)
        clock.now += 4.0
        raise OSError("and in vain: a sweep goes on all the same")

    monkeypatch.setattr(page_refresh, "write_report", slowly)
    refresh = PageRefresh(tmp_path)
    for _ in range(200):
        refresh()
        clock.now += 1.0
    assert written == [0.0, 4 + PAUSE * 4, 2 * (4 + PAUSE * 4)]
