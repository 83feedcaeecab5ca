"""Optuna's side of a search: the study in the sweep's folder and its trials."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loomlab.sweep.dimension import Dimension, Values
from loomlab.sweep.goals import Goal

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

STUDY = "study.sqlite"
NAME = "sweep"
SAME_AS = "same_as"  # of a trial: the job it repeats, so that it has none of its own
UNCOUNTED = "uncounted"  # of the study: trials that no job was started for


class Study:
    """What a search asks of Optuna, in words of jobs: a trial is known by its number."""

    def __init__(
        self,
        folder: Path,
        goals: Sequence[Goal],
        sampler: Callable[[int], BaseSampler],
        pruner: BasePruner,
    ) -> None:
        """Open the study of a folder, made if there is none.

        `sampler` is given the number of trials so far: one that is seeded alike proposes alike.
        """
        import optuna

        quiet_optuna()
        path = folder / STUDY
        self.goals = goals
        self.study = optuna.create_study(
            storage=f"sqlite:///{path.resolve()}",
            study_name=NAME,
            directions=["minimize" if goal.direction == "min" else "maximize" for goal in goals],
            load_if_exists=True,
            pruner=pruner,
        )
        path.chmod(0o600)
        self.study.sampler = sampler(len(self.trials()))
        self.names: dict[Dimension, str] = {}
        self.reporting: dict[int, Trial] = {}

    def trials(self) -> list[FrozenTrial]:
        """All trials by number."""
        return self.study.get_trials(deepcopy=False)

    def counted(self) -> int:
        """Trials that were proposed for a job."""
        return len(self.trials()) - len(self.study.user_attrs.get(UNCOUNTED, []))

    def leave_out(self, number: int) -> None:
        """Do not count a trial."""
        before = self.study.user_attrs.get(UNCOUNTED, [])
        self.study.set_user_attr(UNCOUNTED, [*before, number])

    def finish(self, number: int, state: str, values: list[float] | None = None) -> None:
        """Say how a trial ended."""
        from optuna.trial import TrialState

        self.study.tell(number, values, TrialState[state])
        self.reporting.pop(number, None)

    def correct(self, number: int, key: str, values: list[float]) -> None:
        """Values of a trial that was said to have failed; as another one, as it is closed."""
        from optuna.trial import create_trial

        told = self.trials()[number]
        self.leave_out(len(self.trials()))
        self.study.add_trial(
            create_trial(
                values=values,
                params=told.params,
                distributions=told.distributions,
                user_attrs={SAME_AS: key},
            )
        )

    def is_behind(self, number: int, position: int, value: float | None) -> bool:
        """Report a running trial's number of a validation; whether it is to end."""
        from optuna.trial import Trial

        if value is None or not math.isfinite(value):
            return True
        told = self.trials()[number]
        if number not in self.reporting:
            self.reporting[number] = Trial(self.study, told._trial_id)
        trial = self.reporting[number]
        if position not in told.intermediate_values:
            trial.report(value, position)
        return trial.should_prune()

    def best(self) -> list[FrozenTrial]:
        """The best trial, or with several goals all that no other one beats in each."""
        done = [t for t in self.study.best_trials if all(map(math.isfinite, t.values))]
        return done[:1] if len(self.goals) == 1 else done

    def suggest(self, trial: Trial, dimension: Dimension) -> str:
        """The override that a trial proposes for a dimension."""
        if dimension not in self.names:
            self.names[dimension] = self._name(dimension)
        name = self.names[dimension]
        if isinstance(dimension, Values):
            return f"{dimension.key}={trial.suggest_categorical(name, dimension.values)}"
        if dimension.whole:
            step = 1 if dimension.step is None else round(dimension.step)
            number: float = trial.suggest_int(
                name, round(dimension.low), round(dimension.high), step=step, log=dimension.log
            )
        else:
            number = trial.suggest_float(
                name, dimension.low, dimension.high, step=dimension.step, log=dimension.log
            )
        return dimension.written(number)

    def _name(self, dimension: Dimension) -> str:
        """A name under which the study knows nothing else: it takes no changed choices."""
        from optuna.distributions import check_distribution_compatibility

        stored: dict[str, BaseDistribution] = {}
        for trial in self.trials():
            stored |= trial.distributions
        name = dimension.name
        while name in stored:
            try:
                check_distribution_compatibility(stored[name], _distribution(dimension))
            except ValueError:
                name += "'"
            else:
                break
        return name


def quiet_optuna() -> None:
    """Keep back lines on every trial and every step of setting up a database."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def make_sampler(kind: str, seed: int) -> BaseSampler:
    """A sampler of that name."""
    from optuna import samplers

    made: dict[str, Callable[[], BaseSampler]] = {
        # by group: options have spaces of their own, of which each is modelled as a whole
        "tpe": lambda: samplers.TPESampler(seed=seed, multivariate=True, group=True),
        "random": lambda: samplers.RandomSampler(seed=seed),
        "cmaes": lambda: samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    }
    return made[kind]()


def make_pruner(kind: str, first: int, startup: int, reduction: int) -> BasePruner:
    """A pruner of that name; its steps are validations, counted from 1."""
    from optuna import pruners

    made: dict[str, Callable[[], BasePruner]] = {
        "none": pruners.NopPruner,
        "median": lambda: pruners.MedianPruner(startup, n_warmup_steps=first),
        "asha": lambda: pruners.SuccessiveHalvingPruner(first, reduction),
        "hyperband": lambda: pruners.HyperbandPruner(first, reduction_factor=reduction),
    }
    return made[kind]()


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna import distributions

    if isinstance(dimension, Values):
        return distributions.CategoricalDistribution(dimension.values)
    kind: Any = (
        distributions.IntDistribution if dimension.whole else distributions.FloatDistribution
    )
    distribution: BaseDistribution = kind(dimension.low, dimension.high, log=dimension.log)
    return distribution
