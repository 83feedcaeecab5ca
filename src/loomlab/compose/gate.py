"""All gates in a row: a command line in, checked jobs or a list of problems out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig

from loomlab.compose.catalog import Catalog
from loomlab.compose.composer import compose_job, composing, expand_sweep
from loomlab.compose.diagnosis import COMPOSE_ERRORS, diagnose
from loomlab.compose.preflight import preflight
from loomlab.compose.problem import Problem, report
from loomlab.compose.search import all_conf_dirs


@dataclass
class Checked:
    """The jobs of a command line and what is wrong with each."""

    jobs: list[list[str]]
    configs: list[DictConfig] = field(default_factory=list)
    problems: dict[int, list[Problem]] = field(default_factory=dict)

    def message(self) -> str:
        """All problems, job by job in a sweep; a problem of every job is said once."""
        if len(self.jobs) == 1:
            return report(self.problems[0], "This cannot run:")
        lines = [f"{len(self.jobs)} jobs, {len(self.problems)} refused; nothing was started:"]
        spread: dict[str, list[int]] = {}
        for job, problems in self.problems.items():
            for problem in dict.fromkeys(map(str, problems)):
                spread.setdefault(problem, []).append(job)
        for text, jobs in spread.items():
            where = "all jobs" if len(jobs) == len(self.jobs) else _named(jobs)
            lines.append(f"  - {text} ({where})")
        return "\n".join(lines)


def _named(jobs: list[int]) -> str:
    return ("job " if len(jobs) == 1 else "jobs ") + ", ".join(map(str, jobs))


def check(overrides: list[str], multirun: bool, arguments: list[str] | None = None) -> Checked:
    """Compose and preflight every job of a command line; nothing is built or read."""
    with composing(arguments) as loader:
        catalog = Catalog(all_conf_dirs(arguments))
        checked = Checked(_jobs(overrides, multirun, loader, catalog))
        for number, job in enumerate(checked.jobs):
            problems = _check_job(job, loader, catalog, checked.configs)
            if problems:
                checked.problems[number] = problems
    return checked


def _jobs(
    overrides: list[str], multirun: bool, loader: ConfigLoader, catalog: Catalog
) -> list[list[str]]:
    """The overrides of each job; a command line that cannot be read is one job."""
    if not multirun:
        return [overrides]
    try:
        return expand_sweep(overrides, loader)
    except HydraException:
        return [overrides]


def _outside(job: list[str], catalog: Catalog) -> Iterator[Problem]:
    """Options that would be read from outside the config folders."""
    for override in job:
        key, _, value = override.lstrip("+").partition("=")
        if key in catalog.options and (".." in value or value.strip("[]'\"").startswith("/")):
            yield Problem(key, f"'{value}' leaves the config folders", f"see `loom options {key}`")


def _check_job(
    job: list[str], loader: ConfigLoader, catalog: Catalog, configs: list[DictConfig]
) -> list[Problem]:
    """Problems of both gates; what the first one accepts still goes through the second."""
    problems = list(_outside(job, catalog))
    if problems:
        return problems
    try:
        config = compose_job(job)
    except COMPOSE_ERRORS as error:
        problems, accepted = diagnose(job, error, loader, catalog)
        try:
            config = compose_job(accepted)
        except COMPOSE_ERRORS:
            return problems
    configs.append(config)
    return problems + preflight(config, catalog)
