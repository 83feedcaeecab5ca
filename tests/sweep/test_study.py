"""A study and its ledger, killed between any two things that they write down."""

from pathlib import Path
from typing import Any

import pytest
from tests.sweep.test_optuna import RATE, Bench, bowl

from loomlab.run.ledger import DONE, PENDING, Ledger
from loomlab.sweep.study import Study


class Killed(BaseException):
    """What a SIGKILL leaves behind: all that was written, and nothing after."""


def test_killed_at_any_moment_it_ends_with_its_trials_and_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed before and after each thing that is written down, again and again."""
    left = 0

    def at(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def counted(*given: Any, **named: Any) -> Any:
            nonlocal left
            for step in (lambda: None, lambda: real(*given, **named)):
                if (left := left - 1) == 0:
                    raise Killed
                result = step()
            return result

        monkeypatch.setattr(owner, name, counted)

    at(Ledger, "add")
    at(Ledger, "update")
    at(Study, "finish")
    kills = 0
    for patience in range(2, 60):
        left = patience
        try:
            one = Bench(tmp_path / "s", RATE, n_trials=4, sampler="random")
            for job in one.ledger.jobs():
                if job.state == PENDING:  # what the sweep starts again
                    one.end(job.key, loss=1.0)
            one.run(bowl)
            break
        except Killed:
            kills += 1
    assert kills > 2
    jobs = one.ledger.jobs()
    assert [job.state for job in jobs] == [DONE] * 4
    assert len({tuple(job.overrides) for job in jobs}) == 4
    trials = one.search.study.trials()
    rates = [tuple(trial.params.values()) for trial in trials]
    assert len(set(rates)) == len(rates), "no point is proposed twice"
    assert one.states.count("COMPLETE") == 4
    assert one.search.study.counted() == 4
