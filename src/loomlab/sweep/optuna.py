"""A search by Optuna: each trial is a job of the sweep, of the same number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import (
    DONE,
    FAILED,
    GO_ON,
    JUDGED,
    PENDING,
    PRUNE,
    PRUNED,
    REFUSED,
    Job,
    Ledger,
)
from loomlab.secrets import is_secret
from loomlab.sweep.base import Enlist, Search
from loomlab.sweep.goals import Goal, goals, reached
from loomlab.sweep.spaces import Space, Spaces
from loomlab.sweep.study import SAME_AS, Study, make_pruner, make_sampler

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

GOALS, BEST = "goals", "best"  # in the ledger's definition: what for, and numbers of the best jobs
DIVERGED = "Diverged"  # how a run fails that was steered there, not by a mishap


class Optuna(Search):
    """Proposes jobs by what the earlier ones reached, and may end those that fall behind.

    `n_trials` counts those of earlier times the same sweep was run.
    """

    problem_check = "loomlab.sweep.optuna_check.problems"

    def __init__(
        self,
        n_trials: Annotated[int, "[1, inf)"] = 20,
        sampler: Literal["tpe", "random", "cmaes"] = "tpe",
        seed: Annotated[int, "[0, 4000000000]"] = 1,
        objectives: list[str] = [],  # noqa: B006 - read as a literal, never changed
        directions: list[str] = [],  # noqa: B006 - read as a literal, never changed
        pruner: Literal["none", "median", "asha", "hyperband"] = "none",
        first: Annotated[int, "[1, inf)"] = 1,
        startup: Annotated[int, "[1, inf)"] = 4,
        reduction: Annotated[int, "[2, inf)"] = 3,
        retry: Annotated[int | None, "[0, inf)"] = None,
        **settings: Any,
    ) -> None:
        """Settings of the search.

        Args:
            objectives: numbers of a run, as `val/bits_per_byte` or `parameters`; none means
                what runs are compared by, several give the trials that no other one beats.
            directions: min or max for each objective, where that is not plain.
            first: the first validation that may end a trial.
            startup: trials that are to be complete before `median` ends one.
            reduction: one trial in so many goes on at each rung of `asha` and `hyperband`.
            retry: null, as a trial that failed is told to be one.
        """
        super().__init__(retry=retry, **settings)
        self.n_trials = n_trials
        self.sampler = sampler
        self.seed = seed
        self.objectives = objectives
        self.directions = directions
        self.pruner = pruner
        self.first = first
        self.startup = startup
        self.reduction = reduction
        self.goals: list[Goal] = []
        self.going: dict[str, int] = {}  # jobs that are not told yet -> trial
        self.twins: dict[str, list[int]] = {}  # trials that wait for a job of another number

    # -- before the first job

    def expand(self, overrides: Sequence[Override], spaces: Spaces) -> list[list[str]]:
        """Every choice of options with the ends of all ranges: to be checked, not to be run."""
        self.space = Space(overrides, spaces)
        for varied in (*self.space.options, *self.space.numbers):
            if is_secret(varied.key.rpartition(".")[2]):
                raise InputError(f"{varied.key}: a secret cannot be searched; give one value")
        return self.space.probes()

    def foresee(self, configs: Sequence[DictConfig], before: dict[str, Any]) -> None:
        """Find out what the jobs are compared by; that stays as it is in a sweep that goes on."""
        if self.sampler == "cmaes" and len(self.space.shared_numbers()) < 2:
            raise InputError(
                "sweep.sampler: cmaes follows two numbers or more that every job has (intervals "
                "or ranges) and would draw all else at random; take sweep.sampler=tpe"
            )
        self.goals = goals(self.objectives, self.directions, configs)
        recorded = before.get(GOALS, now := [str(goal) for goal in self.goals])
        if recorded != now:
            raise InputError(
                f"sweep.objectives: this sweep was after {', '.join(recorded)}, not after "
                f"{', '.join(now)}; give another paths.sweep_dir"
            )

    def described(self) -> list[tuple[str, str]]:
        """How it is searched, and what."""
        how = f"{self.sampler}, seed {self.seed}"
        how += "" if self.pruner == "none" else f", ended early by {self.pruner}"
        return [("goal", ", ".join(map(str, self.goals))), ("sampler", how),
                *self.space.described()]  # fmt: skip

    def open(self, ledger: Ledger, enlist: Enlist) -> None:
        """Take up the study in the sweep's folder; a trial whose job goes on is the same one."""
        self.ledger, self.enlist = ledger, enlist
        self.study = Study(
            ledger.folder,
            self.goals,
            lambda trials: make_sampler(self.sampler, self.seed + trials),
            make_pruner(self.pruner, self.first, self.startup, self.reduction),
        )
        judged = None if self.pruner == "none" else self.goals[0].name
        ledger.define({GOALS: [str(goal) for goal in self.goals], JUDGED: judged})
        jobs = {job.number: job for job in ledger.jobs()}
        trials = self.study.trials()
        if any(number >= len(trials) for number in jobs):
            raise InputError(
                f"paths.sweep_dir={ledger.folder} holds jobs that this search did not propose; "
                "give another folder"
            )
        for trial in trials:
            if not trial.state.is_finished():
                self._take_up(trial, jobs.get(trial.number))

    def _take_up(self, trial: FrozenTrial, job: Job | None) -> None:
        """A trial that was not told how it ended, as the sweep was killed, say."""
        if twin := trial.user_attrs.get(SAME_AS):
            self.twins.setdefault(twin, []).append(trial.number)
            self.tell(self.ledger.job(twin))
        elif job is None:  # killed between the proposal and its job
            self.study.leave_out(trial.number)
            self.study.finish(trial.number, "FAIL")
        else:
            self.going[job.key] = trial.number
            self.tell(job)

    # -- while jobs run

    def ask(self) -> str | None:
        """Propose until a job is found that can be run and was not proposed before."""
        while self.study.counted() < self.n_trials:
            trial = self.study.study.ask()
            job = self.enlist(trial.number, self.space.job(partial(self.study.suggest, trial)))
            if job.number != trial.number:
                trial.set_user_attr(SAME_AS, job.key)
                self.twins.setdefault(job.key, []).append(trial.number)
            else:
                self.going[job.key] = trial.number
                if job.state == PENDING:
                    return job.key
            self.tell(job)
        return None

    def tell(self, job: Job) -> None:
        """Tell the study, unless the job goes on later."""
        if job.state not in (DONE, PRUNED, FAILED, REFUSED):
            return
        known = self.study.trials()
        own = [] if (number := self.going.pop(job.key, None)) is None else [number]
        state, values = self._result(job)
        for number in (*own, *self.twins.pop(job.key, [])):
            self.study.finish(number, state, values)
        if not own and state == "COMPLETE" and known[job.number].state.name == "FAIL":
            self.study.correct(job.number, job.key, values or [])
        self.ledger.define({BEST: list(self._best())})

    def _result(self, job: Job) -> tuple[str, list[float] | None]:
        """State and values of a job's trial. One that is bad is a result to learn from, too."""
        alone = len(self.goals) == 1
        if job.state == PRUNED or (job.state == REFUSED and alone):
            return "PRUNED", None  # to a sampler, worse than all that are complete
        if job.state == DONE or (job.state == FAILED and job.error_type == DIVERGED):
            summary = RunFolder(self.ledger.folder / job.folder).summary()
            values = reached(self.goals, summary) if job.state == DONE else None
            if values or alone:
                return "COMPLETE", values or [self.goals[0].worst]
        return "FAIL", None

    def judge(self, ledger: Ledger) -> None:
        """Answer reports: a trial goes on unless the pruner has seen enough of it."""
        if self.pruner == "none":
            return
        for key, number in self.going.items():
            for position, (_, step, value, verdict) in enumerate(ledger.reports(key), start=1):
                if verdict is None:
                    behind = self.study.is_behind(number, position, value)
                    ledger.judge(key, step, PRUNE if behind else GO_ON)

    # -- in the end

    def _best(self) -> dict[int, list[float]]:
        """Number of a job -> its values, of those that no other one beats."""
        found = {}
        for trial in self.study.best():
            key = trial.user_attrs.get(SAME_AS)
            found[self.ledger.job(key).number if key else trial.number] = trial.values
        return found

    def concluded(self) -> list[str]:
        """The best trials with what they reached."""
        best = self._best()
        head = f"{self.study.counted()} trials"
        if again := sum(SAME_AS in trial.user_attrs for trial in self.study.trials()):
            head += f", {again} of them jobs that were there already"
        if not best:
            return [f"{head}; none with a result"]
        what = "best" if len(self.goals) == 1 else "no other one is better in everything than"
        jobs = {job.number: job for job in self.ledger.jobs()}
        lines = [f"{head}; {what}:"]
        for number, values in best.items():
            pairs = zip(self.goals, values, strict=True)
            told = ", ".join(f"{goal.name} {value:.4g}" for goal, value in pairs)
            lines.append(f"    {jobs[number].name}: {told}")
        return lines
