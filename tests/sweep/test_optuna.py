"""A search against a ledger, with numbers in place of training: what it proposes and tells."""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from tests.marks import fast_slow_soak

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import package_conf
from loomlab.errors import InputError
from loomlab.run.ledger import (
    DONE,
    FAILED,
    GO_ON,
    INTERRUPTED,
    PRUNE,
    PRUNED,
    REFUSED,
    RUNNING,
    Job,
    Ledger,
)
from loomlab.sweep.optuna import Optuna
from loomlab.sweep.spaces import Spaces

LOSS = "val/bits_per_byte"
RATE = "optimizer.lr=tag(log,interval(1e-4,1))"
CONFIG = OmegaConf.create(
    {"metric": None, "objective": {"_target_": "loomlab.objective.clm.CausalLM"}}
)


class Bench:
    """A search in a folder; jobs end when they are told to."""

    def __init__(
        self, folder: Path, *overrides: str, refuse: str = "never", **settings: Any
    ) -> None:
        self.ledger = Ledger(folder)
        self.search = Optuna(**settings)
        self.refuse = refuse
        spaces = Spaces([], None, Catalog([package_conf()]))  # type: ignore[arg-type]
        self.search.expand(OverridesParser.create().parse_overrides(list(overrides)), spaces)
        self.search.foresee([CONFIG], self.ledger.definition())
        self.search.open(self.ledger, self.enlist)

    def enlist(self, number: int, overrides: list[str]) -> Job:
        key = " ".join(overrides)
        state = {"state": REFUSED} if self.refuse in key else {}
        self.ledger.add([Job(key, number, f"{number:03d}", overrides, {}, **state)])
        return self.ledger.job(key)

    def end(self, key: str, state: str = DONE, **numbers: Any) -> None:
        """A job ends with numbers of its summary, `loss` among the held-out ones."""
        job = self.ledger.job(key)
        folder = self.ledger.folder / job.folder
        folder.mkdir(exist_ok=True)
        best = {LOSS: numbers.pop("loss")} if "loss" in numbers else {}
        error = {"error_type": numbers.pop("error", None)}
        (folder / "summary.json").write_text(json.dumps({"best": best, **numbers}))
        self.ledger.update(key, state=state, **error)
        self.search.tell(self.ledger.job(key))

    def run(self, loss: Callable[[float], float]) -> list[str]:
        """All that is proposed, each ended with a loss that follows from its last setting."""
        keys = []
        while key := self.search.ask():
            keys.append(key)
            self.end(key, loss=loss(float(key.rpartition("=")[2])))
        return keys

    @property
    def states(self) -> list[str]:
        return [t.state.name for t in self.search.study.trials()]

    @property
    def values(self) -> list[list[float] | None]:
        return [t.values for t in self.search.study.trials()]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """A search in this test's folder; called again it is a later process."""
    return lambda *overrides, **settings: Bench(tmp_path / "s", *overrides, **settings)


def bowl(rate: float) -> float:
    return (math.log10(rate) + 3) ** 2


@pytest.mark.parametrize("sampler", fast_slow_soak(["tpe", "cmaes"], ["tpe"], ["cmaes"]))
def test_it_finds_the_bottom_of_a_bowl(bench: Callable[..., Bench], sampler: str):
    one = bench("optimizer.weight_decay=interval(0,1)", RATE, n_trials=30, sampler=sampler)
    keys = one.run(bowl)
    assert len(keys) == 30
    assert [job.number for job in one.ledger.jobs()] == list(range(30))
    (best,) = one.ledger.definition()["best"]
    losses = [bowl(float(key.rpartition("=")[2])) for key in keys]
    assert losses[best] == min(losses) < 0.02
    assert statistics.median(losses[15:]) < 0.5 * statistics.median(losses[:10]), "it has learned"
    assert one.search.concluded()[0] == "30 trials; best:"


def test_cmaes_needs_numbers_that_all_jobs_have(bench: Callable[..., Bench]):
    for overrides in ([RATE], ["seed=1,2", RATE]):
        with pytest.raises(InputError, match=r"sweep.sampler: cmaes follows two numbers or more"):
            bench(*overrides, sampler="cmaes")


def test_random_does_not_learn_and_is_reproducible(tmp_path: Path):
    ones = [Bench(tmp_path / n, RATE, n_trials=4, sampler="random", seed=3) for n in "ab"]
    first, second = (one.run(bowl) for one in ones)
    assert first == second
    other = Bench(tmp_path / "c", RATE, n_trials=4, sampler="random", seed=4)
    assert other.run(bowl) != first


def test_later_trials_count_those_before_and_are_others(bench: Callable[..., Bench]):
    first = bench(RATE, n_trials=3, sampler="random").run(bowl)
    assert bench(RATE, n_trials=3, sampler="random").search.ask() is None
    more = bench(RATE, n_trials=5, sampler="random")
    second = more.run(bowl)
    assert len(second) == 2
    assert not set(first) & set(second), "the same seed does not propose the same again"
    assert [job.number for job in more.ledger.jobs()] == [0, 1, 2, 3, 4]


def test_a_job_that_goes_on_is_the_same_trial(bench: Callable[..., Bench]):
    before = bench(RATE, n_trials=3)
    stopped, running, done = (before.search.ask() for _ in range(3))
    before.end(stopped, INTERRUPTED)
    before.ledger.update(running, state=RUNNING)
    (before.ledger.folder / "002").mkdir()
    (before.ledger.folder / "002" / "summary.json").write_text(json.dumps({"best": {LOSS: 5}}))
    before.ledger.update(done, state=DONE)  # and the sweep was killed before it heard of it
    after = bench(RATE, n_trials=3)
    assert after.states == ["RUNNING", "RUNNING", "COMPLETE"]
    assert after.search.ask() is None
    after.end(stopped, loss=1.0)
    after.end(running, loss=2.0)
    assert after.values == [[1.0], [2.0], [5.0]]


def test_a_proposal_without_a_job_is_given_up(bench: Callable[..., Bench]):
    bench(RATE, n_trials=2).search.study.study.ask()  # killed before the job was written down
    one = bench(RATE, n_trials=2)
    assert len(one.run(bowl)) == 2, "it does not count"
    assert one.states == ["FAIL", "COMPLETE", "COMPLETE"]


def test_bad_results_are_results(bench: Callable[..., Bench]):
    one = bench(RATE, n_trials=6)
    keys = [one.search.ask() for _ in range(6)]
    one.end(keys[0], loss=math.nan)
    one.end(keys[1])  # nothing measured
    one.end(keys[2], FAILED, error="Diverged")
    one.end(keys[3], FAILED, error="SIGKILL")
    one.end(keys[4], PRUNED, loss=1.0)
    one.end(keys[5], loss=9.0)
    assert one.states == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
    assert one.values[:3] == [[math.inf]] * 3, "the sampler is to keep away"
    assert one.ledger.definition()["best"] == [5]


def test_no_result_at_all(bench: Callable[..., Bench]):
    one = bench(RATE, n_trials=1)
    one.end(one.search.ask(), loss=math.nan)
    assert one.ledger.definition()["best"] == []
    assert one.search.concluded() == ["1 trials; none with a result"]


def test_refused_proposals_are_bad_trials_and_the_search_goes_on(bench: Callable[..., Bench]):
    one = bench("seed=1,2,3", RATE, n_trials=12, refuse="seed=2")
    keys = one.run(bowl)
    refused = [job.number for job in one.ledger.jobs() if job.state == REFUSED]
    assert refused
    assert len(keys) + len(refused) == 12
    assert {one.states[number] for number in refused} == {"PRUNED"}


def test_the_same_job_is_run_once(bench: Callable[..., Bench]):
    one = bench("seed=1,2", n_trials=8)
    first = one.search.ask()
    keys = {first}
    while (key := one.search.ask()) and key not in keys:
        keys.add(key)
    for key in keys:
        one.end(key, loss=float(key[-1]))
    assert len(keys) == 2
    assert one.states == ["COMPLETE"] * 8, "those that wait for a running job hear of it"
    for trial in one.search.study.trials():
        assert trial.values == [float(trial.params["seed"])]
    assert one.search.concluded()[0] == "8 trials, 6 of them jobs that were there already; best:"


def test_pareto_front(bench: Callable[..., Bench]):
    one = bench(RATE, n_trials=5, objectives=[LOSS, "parameters"])
    keys = [one.search.ask() for _ in range(5)]
    for key, (loss, size) in zip(keys, [(3, 1), (2, 2), (3, 3), (1, 9)], strict=False):
        one.end(key, loss=loss, parameters=size)
    one.end(keys[4], loss=math.nan, parameters=1)
    assert sorted(one.ledger.definition()["best"]) == [0, 1, 3]
    assert one.states[4] == "FAIL"
    assert len(one.search.concluded()) == 4


def test_more_is_better(bench: Callable[..., Bench]):
    one = bench(RATE, n_trials=3, objectives=[LOSS], directions=["max"])
    for loss in (1, 3, math.nan):
        one.end(one.search.ask(), loss=loss)
    assert one.ledger.definition()["best"] == [1]
    assert one.values[2] == [-math.inf]


def test_a_failed_job_that_ends_well_later(bench: Callable[..., Bench]):
    one = bench(RATE, n_trials=2, retry=1)
    key = one.search.ask()
    one.end(key, FAILED, error="SIGKILL")
    one.end(key, loss=2.0)
    assert one.values == [None, [2.0]]
    assert one.ledger.definition()["best"] == [0], "the job's number"
    assert one.search.ask() is not None, "it is the same trial still"
    assert one.search.ask() is None


@pytest.mark.parametrize(
    "pruner", fast_slow_soak(["median", "asha", "hyperband"], ["asha"], ["median", "hyperband"])
)
def test_a_trial_that_falls_behind_is_ended(bench: Callable[..., Bench], pruner: str):
    one = bench(RATE, n_trials=9, pruner=pruner, startup=2)
    assert one.ledger.definition()["judged"] == LOSS

    def verdicts(key: str, losses: list[float]) -> list[str | None]:
        for step, loss in enumerate(losses, start=1):
            one.ledger.report(key, step * 100, loss)
            one.search.judge(one.ledger)
        return [verdict for *_, verdict in one.ledger.reports(key)]

    for _ in range(3):
        key = one.search.ask()
        assert verdicts(key, [3.0, 2.0, 1.0])[0] == GO_ON
        one.end(key, loss=1.0)
    bad = [verdicts(one.search.ask(), [9.0, 9.0, 9.0]) for _ in range(6)]
    assert any(PRUNE in said for said in bad)
    assert verdicts(min(one.search.going), [math.nan])[0] == PRUNE, "not a number, no hope"


def test_pruning_is_taken_up_again(bench: Callable[..., Bench]):
    one = bench(RATE, n_trials=4, pruner="median", startup=1)
    good, bad = one.search.ask(), one.search.ask()
    for step in (1, 2):
        one.ledger.report(good, step, 1.0)
    one.ledger.report(bad, 1, 9.0)
    one.search.judge(one.ledger)
    one.end(good, loss=1.0)
    one.ledger.update(bad, state=RUNNING)
    one.ledger.report(bad, 2, 9.0)
    later = bench(RATE, n_trials=4, pruner="median", startup=1)
    later.search.judge(later.ledger)
    assert [verdict for *_, verdict in later.ledger.reports(bad)] == [GO_ON, PRUNE]
    later.end(bad, PRUNED, loss=9.0)
    assert later.states == ["COMPLETE", "PRUNED"]


def test_changed_choices_and_ranges(bench: Callable[..., Bench]):
    bench("optimizer=adamw,sgd", RATE, n_trials=3).run(bowl)
    other = bench("optimizer=adamw,sgd,lion", "optimizer.lr=interval(1,2)", n_trials=9)
    keys = other.run(bowl)
    assert len(keys) == 6
    assert all(1 <= float(key.rpartition("=")[2]) <= 2 for key in keys)


def test_another_goal_or_jobs_of_another_sweep(bench: Callable[..., Bench]):
    bench(RATE, n_trials=1)
    with pytest.raises(InputError, match=r"was after val/bits_per_byte \(min\), not after param"):
        bench(RATE, n_trials=1, objectives=["parameters"])
    Ledger(bench(RATE).ledger.folder).add([Job("foreign", 7, "007", [], {})])
    with pytest.raises(InputError, match="holds jobs that this search did not propose"):
        bench(RATE)


def test_asha_is_a_preset(planned: Callable[..., Any]):
    search = planned("sweep=asha", RATE).sweep
    assert (search.pruner, search.n_trials, search.retry) == ("asha", 30, None)
