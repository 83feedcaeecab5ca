"""Draws that can be drawn again."""

from collections.abc import Callable

from loomlab.sweep.plan import Plan

Planned = Callable[..., Plan]
WANTED = ["sweep=random", "optimizer=adamw,sgd", "sweep.search=[optimizer]", "seed=range(1,4)"]


def jobs(planned: Planned, *more: str) -> list[list[str]]:
    return [job.overrides for job in planned(*WANTED, *more).jobs]


def test_draws_follow_from_the_seed(planned: Planned):
    some = jobs(planned, "sweep.n_jobs=3")
    assert len(some) == 3
    assert jobs(planned, "sweep.n_jobs=4")[:3] == some, "more of the same seed begin alike"
    assert not [job for job in jobs(planned, "sweep.n_jobs=3", "sweep.seed=2") if job in some]


def test_each_draw_has_the_space_of_its_option(planned: Planned):
    drawn = jobs(planned, "sweep.n_jobs=12")
    assert {job[0] for job in drawn} == {"optimizer=adamw", "optimizer=sgd"}
    assert {job[1] for job in drawn} == {"seed=1", "seed=2", "seed=3"}
    for job in drawn:
        low, high = (1e-4, 1e-2) if job[0] == "optimizer=adamw" else (1e-2, 1)
        assert low <= float(job[2].removeprefix("optimizer.lr=")) <= high
        momentum = [o for o in job if o.startswith("optimizer.momentum")]
        assert len(momentum) == (job[0] == "optimizer=sgd")


def test_one_more_key_leaves_the_others_as_they_were(planned: Planned):
    before = jobs(planned, "sweep.n_jobs=3")
    after = jobs(planned, "sweep.n_jobs=3", "model.layers=int(interval(2,9))")
    assert [[o for o in job if "layers" not in o] for job in after] == before


def test_the_same_draw_runs_once(planned: Planned):
    made = planned("sweep=random", "seed=1,2", "sweep.n_jobs=6")
    assert len(made.jobs) == 2
    assert len(made.same) == 4
