"""Jobs of a search: checked and put into the ledger one by one, as they are proposed."""

from __future__ import annotations

from collections.abc import Callable

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.gate import Checked, check_jobs
from loomlab.errors import InputError
from loomlab.run.ledger import REFUSED, Job, Ledger
from loomlab.run.speed_record import Cost, expected
from loomlab.sweep.base import Search
from loomlab.sweep.dimension import keys_of
from loomlab.sweep.identity import job_key
from loomlab.sweep.plan import Plan, make_job, tokens_of
from loomlab.sweep.record import hidden, recorded
from loomlab.sweep.screen import Screen
from loomlab.sweep.words import duration, flops


class Proposals:
    """Adds proposed jobs to the ledger of a plan; an `Enlist`, to be called inside `composing`."""

    def __init__(
        self, plan: Plan, ledger: Ledger, flags: list[str], secrets: dict[str, list[str]]
    ) -> None:
        """`secrets` is filled with overrides that are not written down, by the job's key."""
        assert isinstance(plan.sweep, Search)
        self.fixed = plan.sweep.space.fixed
        self.plan = plan
        self.ledger = ledger
        self.secrets = secrets
        self.catalog = Catalog(all_conf_dirs(flags))
        self.loader: ConfigLoader | None = None

    def __call__(self, number: int, overrides: list[str]) -> Job:
        """The row of a job: of an earlier one where that is the same job."""
        assert self.loader is not None, "is called inside composing"
        checked = check_jobs([overrides], self.loader, self.catalog)
        job = self._job(number, overrides, checked)
        self.ledger.add([recorded(job)])
        if secrets := hidden(job.overrides):
            self.secrets[job.key] = secrets
        return self.ledger.job(job.key)

    def _job(self, number: int, overrides: list[str], checked: Checked) -> Job:
        drawn = [o for o in overrides if o not in self.fixed]
        varied = [_key(o) for o in drawn]
        if checked.problems:
            differs = {_key(o): o.partition("=")[2] for o in drawn}
            why = "; ".join(dict.fromkeys(map(str, checked.problems[0])))
            return Job(f"refused-{number}", number, "", overrides, differs, REFUSED, message=why)
        config = checked.configs[0]
        key = job_key(config, varied, self.plan.code)
        self.plan.configs[key] = config
        return make_job(number, key, overrides, varied, config)


def _key(override: str) -> str:
    return min(keys_of([override]))


def show_search(plan: Plan, screen: Screen) -> None:
    """Print what is going to be searched, and what that takes at most.

    Raises:
        InputError: a choice of options, or the end of a range, is refused.
    """
    assert isinstance(plan.sweep, Search)
    problems = plan.checked.problems
    if problems:
        left = plan.sweep.skip_refused and len(problems) < len(plan.checked.jobs)
        text = _refusals(plan, plan.sweep, "their trials count as bad" if left else "")
        if not left:
            raise InputError(text)
        screen.say(text)
    rows = plan.sweep.described()
    rows.append(("tokens", _at_most(plan, tokens_of, lambda tokens: f"{tokens:,.0f}")))
    rows.append(("FLOPs", _at_most(plan, lambda config: _cost(plan, config).flops, flops)))
    rows.append(("time", _at_most(plan, lambda config: _cost(plan, config).seconds, duration)))
    width = max(len(name) for name, _ in rows)
    screen.total = plan.sweep.n_trials
    screen.say(f"a search of {plan.sweep.n_trials} trials")
    for name, value in rows:
        screen.say(f"  {name:<{width}}  {value}")


def _cost(plan: Plan, config: DictConfig) -> Cost:
    return expected(config, tokens_of(config), plan.launch.threads_each())


def _at_most(
    plan: Plan, of: Callable[[DictConfig], float | None], written: Callable[[float], str]
) -> str:
    """What all trials take together, if each is the longest of those tried."""
    assert isinstance(plan.sweep, Search)
    each = [of(config) for config in plan.checked.configs.values()]
    known = [number for number in each if number is not None]
    if not known or len(known) < len(each):
        return "unknown"
    return f"at most {written(plan.sweep.n_trials * max(known))} in all"


def _refusals(plan: Plan, search: Search, consequence: str) -> str:
    """What was refused of the jobs tried in advance, each problem with the first that has it."""
    jobs = plan.checked.jobs
    first: dict[str, str] = {}
    for position, problems in plan.checked.problems.items():
        drawn = " ".join(o for o in jobs[position] if o not in search.space.fixed)
        for problem in problems:
            first.setdefault(str(problem), drawn)
    head = (
        f"choices of options were tried with the ends of their ranges, and "
        f"{len(plan.checked.problems)} of {len(jobs)} are refused; "
        f"{consequence or 'nothing was started'}:"
    )
    return "\n".join([head, *(f"  - {text} (with {where})" for text, where in first.items())])
