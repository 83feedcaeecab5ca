"""The table of a sweep: on a terminal it follows the jobs, elsewhere there are lines alone."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from loomlab.run.ledger import DONE, FAILED, INTERRUPTED, PENDING, RUNNING, Job, Ledger
from loomlab.run.speed_record import Cost
from loomlab.sweep.progress import Progress
from loomlab.sweep.screen import Screen, in_all
from loomlab.sweep.standing import shown_of, standing

STATES = [DONE, FAILED, RUNNING, INTERRUPTED, PENDING]


def jobs(states: list[str]) -> list[Job]:
    return [
        Job(f"key{i}", i, f"{i:03d}", [], {"optimizer.lr": f"0.{i}"}, state=state, started=100.0,
            ended=100.0 + i, value=None, error_type="KeyError", message="[x]", attempts=1)
        for i, state in enumerate(states)
    ]  # fmt: skip


def printed(*tables: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    for table in tables:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line[:1] in "\u2503\u2502" and line]
    return [[c.strip() for c in line.strip("\u2502\u2503").replace("\u2503", "\u2502")
             .split("\u2502")] for line in lines]  # fmt: skip


def test_a_row_tells_where_a_job_is():
    def far(job: Job) -> Progress:
        return Progress(1200, "val/loss", 2.34567, 75.0) if job.state == RUNNING else Progress()

    said = printed(standing(jobs(STATES), far))
    assert said.startswith("5 jobs: 1 done, 1 failed, 1 running, 1 interrupted, 1 pending")
    head, done, failed, running, _, pending = rows(said)
    assert head == ["job", "optimizer.lr", "step", "val/loss", "time left", "attempts",
                    "how it stands"]  # fmt: skip
    assert running[:6] == ["002", "0.2", "1,200", "2.346", "75 s", "1"]
    assert done[2:] == ["-", "-", "-", "1", "done in 0 s"]
    assert failed[6] == "failed: KeyError: [x]", "what a message says is not markup"
    assert pending[2:5] == ["-", "-", "-"]


def test_jobs_that_are_compared_by_unlike_numbers_name_them():
    def far(job: Job) -> Progress:
        return Progress(1, "val/accuracy" if job.number else "val/loss", 0.5)

    head, first, second = rows(printed(standing(jobs([RUNNING, RUNNING]), far)))
    assert (head[3], first[3], second[3]) == ("metric", "val/loss 0.5", "val/accuracy 0.5")


def test_of_many_jobs_those_that_matter_now():
    many = jobs([DONE] * 20 + [FAILED] + [RUNNING] * 3 + [PENDING] * 20)
    assert [job.number for job in shown_of(many)] == [16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26]
    assert shown_of(jobs([PENDING])) == jobs([PENDING])


@pytest.mark.parametrize("terminal", [True, False])
def test_the_table_is_for_terminals_and_lines_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
):
    monkeypatch.setenv("TERM", "xterm")
    ledger = Ledger(tmp_path)
    ledger.add(jobs([RUNNING, PENDING]))
    (tmp_path / "000").mkdir()
    (tmp_path / "000" / "metrics.csv").write_text("step,tokens,seconds\n7777,1,2.0\n")
    console = Console(
        file=io.StringIO(), width=120, force_terminal=terminal, soft_wrap=True, highlight=False
    )
    screen = Screen(console)
    assert isinstance(console.file, io.StringIO)
    with screen.watching(ledger):
        screen.look(ledger, now=True)
        shown = console.file.getvalue()
        screen.started(ledger.job("key1"))
        ledger.update("key0", state=FAILED, log_tail="one\ntwo\nlast words")
        screen.ended(ledger.job("key0"), ledger.jobs())
    assert ("7,777" in shown) == ("2 jobs: 1 running, 1 pending" in shown) == terminal
    said = console.file.getvalue()
    assert "000 optimizer.lr=0.0: failed: KeyError: [x] (0 of 2 done, 1 failed)" in said
    assert "    last words\n" in said, "the end of its log, when it happens"
    assert ("001 optimizer.lr=0.1: started" in said) != terminal
    screen.look(ledger, now=True)
    assert console.file.getvalue() == said, "when it is over there is no table"


def test_on_a_terminal_it_is_drawn_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    ledger = Ledger(tmp_path)
    ledger.add(jobs([PENDING]))
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    screen = Screen(console)
    asked: list[float] = []
    monkeypatch.setattr("loomlab.sweep.standing.time.monotonic", lambda: 1000.0 + len(asked) / 4)
    with screen.watching(ledger):
        assert screen.board is not None
        for _ in range(9):
            asked.append(0.0)
            screen.board.look(lambda: asked.append(0.0) or ledger.jobs())  # type: ignore
    assert len(asked) == 9 + 3


def test_a_terminal_without_a_cursor_gets_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen(Console(file=io.StringIO(), force_terminal=True))
    with screen.watching(Ledger(tmp_path)):
        assert screen.board is not None
        assert screen.board.live is None


def test_a_plan_says_what_each_job_and_all_will_take():
    planned = [Job(f"k{i}", i, "", [], {"seed": str(i)}, tokens=1500) for i in range(3)]
    console = Console(file=io.StringIO(), width=120, highlight=False)
    assert isinstance(console.file, io.StringIO)
    Screen(console).plan(planned, [Cost(60.0, 2e9)] * 2 + [Cost(30.0, 4e9)], 2)
    said = console.file.getvalue()
    assert rows(said)[:2] == [["job", "seed", "tokens", "FLOPs", "time"],
                              ["000", "0", "1,500", "2e+09", "60 s"]]  # fmt: skip
    assert "in all 4,500 tokens, 8e+09 FLOPs; about 75 s with 2 at a time" in said
    some = in_all(planned, [Cost(flops=2e9), Cost(60.0), Cost(60.0)], 2)
    assert some == "in all 4,500 tokens; the time of 1 is unknown, none of their kind ran here"
