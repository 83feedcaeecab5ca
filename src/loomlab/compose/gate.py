"""All gates in a row: a command line in, checked jobs or a list of problems out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from loomlab.catalog.options import Catalog
from loomlab.catalog.problem import Problem, report
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.composer import compose_job, composing
from loomlab.compose.diagnosis import COMPOSE_ERRORS, diagnose
from loomlab.compose.home_paths import paths_at_home
from loomlab.compose.parts import missing_parts, settings_of_parts
from loomlab.compose.preflight import preflight
from loomlab.compose.weights_tokenizer import tokenizer_of_weights
from loomlab.errors import InputError


@dataclass
class Checked:
    """The jobs of a command line and what is wrong with each.

    `added` are overrides that a job did not name: the tokenizer of the weights it starts from,
    the parts of its corpus, and paths that begin with `~` made whole.
    """

    jobs: list[list[str]]
    configs: dict[int, DictConfig] = field(default_factory=dict)
    added: dict[int, list[str]] = field(default_factory=dict)
    problems: dict[int, list[Problem]] = field(default_factory=dict)

    def refuse(self, wrong: Callable[[DictConfig], list[Problem]]) -> None:
        """Add what else is wrong with the configs of jobs that the gates let through."""
        for number, config in self.configs.items():
            if number not in self.problems and (problems := wrong(config)):
                self.problems[number] = problems

    def only(self) -> DictConfig:
        """The config of a command line for one job.

        Raises:
            InputError: all that is wrong with it.
        """
        if self.problems:
            raise InputError(self.message())
        return self.configs[0]

    def message(self, consequence: str = "nothing was started:") -> str:
        """All problems, job by job in a sweep; a problem of every job is said once."""
        if len(self.jobs) == 1:
            return report(self.problems[0], "This cannot run:")
        lines = [f"{len(self.jobs)} jobs, {len(self.problems)} refused; {consequence}"]
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


def check(overrides: list[str], arguments: list[str] | None = None) -> Checked:
    """Compose and preflight the job of a command line; nothing is built or read."""
    with composing(arguments) as loader:
        return check_jobs([overrides], loader, Catalog(all_conf_dirs(arguments)))


def check_jobs(jobs: list[list[str]], loader: ConfigLoader, catalog: Catalog) -> Checked:
    """Compose and preflight every job, inside `composing`."""
    checked = Checked(jobs)
    for number, job in enumerate(jobs):
        config, problems, checked.added[number] = _check_job(job, loader, catalog)
        if config is not None:
            checked.configs[number] = config
        if problems:
            checked.problems[number] = problems
    return checked


def _outside(job: list[str], catalog: Catalog) -> Iterator[Problem]:
    """Options that would be read from outside the config folders."""
    for override in job:
        key, _, value = override.lstrip("+").partition("=")
        if key in catalog.options and (".." in value or value.strip("[]'\"").startswith("/")):
            yield Problem(key, f"'{value}' leaves the config folders", f"see `loom options {key}`")


def _no_text(job: list[str]) -> Iterator[Problem]:
    """Overrides that a record of the run could not hold; a shell passes on any bytes."""
    for override in job:
        try:
            override.encode()
        except UnicodeEncodeError:
            key, _, value = override.partition("=")
            yield Problem(ascii(key)[1:-1], f"{value!a} is not UTF-8", "convert it")


def _check_job(
    job: list[str], loader: ConfigLoader, catalog: Catalog
) -> tuple[DictConfig | None, list[Problem], list[str]]:
    """Problems of both gates; what the first one accepts still goes through the second."""
    problems = [*_no_text(job), *_outside(job, catalog)]
    if problems:
        return None, problems, []
    inside = settings_of_parts(job)
    config, problems, accepted = _composed([o for o in job if o not in inside], loader, catalog)
    if config is None:
        return None, problems, []
    added = missing_parts(config, catalog)
    if added or inside:
        config, more, accepted = _composed([*accepted, *added, *inside], loader, catalog)
        problems += more
        if config is None:
            return None, problems, []
    whole = paths_at_home(config)
    tokenizer = tokenizer_of_weights(job, config)
    if tokenizer:
        config = compose_job([*accepted, *whole, *tokenizer])
    return config, problems + preflight(config, catalog), [*added, *whole, *tokenizer]


def _composed(
    job: list[str], loader: ConfigLoader, catalog: Catalog
) -> tuple[DictConfig | None, list[Problem], list[str]]:
    """The config of a job, or of what can be composed of it; problems; what was composed."""
    try:
        return compose_job(job), [], job
    except COMPOSE_ERRORS as error:
        problems, accepted = diagnose(job, error, loader, catalog)
    try:
        return compose_job(accepted), problems, accepted
    except COMPOSE_ERRORS:
        return None, problems, []
