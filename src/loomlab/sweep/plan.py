"""From a command line to the jobs of a sweep, all checked before the first one starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig

from loomlab.allow import authorize
from loomlab.catalog.options import Catalog
from loomlab.catalog.problem import Problem
from loomlab.catalog.root import known_steps
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.composer import compose_job, composing
from loomlab.compose.diagnosis import COMPOSE_ERRORS
from loomlab.compose.gate import Checked, check_jobs
from loomlab.compose.hydra_node import (
    MODE,
    ONE_RUN,
    PARAMS,
    asks_for_sweep,
    refuse_in_sweep,
    written_sweep,
)
from loomlab.compose.preflight import preflight
from loomlab.errors import InputError
from loomlab.home import at_home
from loomlab.run.ledger import Job, Ledger, is_sweep
from loomlab.sweep.base import Search, Sweep
from loomlab.sweep.identity import code_version, job_key
from loomlab.sweep.job_name import job_name
from loomlab.sweep.spaces import Spaces
from loomlab.sweep.stacks import each_its_own

# Settings of the sweep, not of its jobs.
OF_THE_SWEEP = ("sweep", "launch", "hydra")
SWEEP_DIR = "paths.sweep_dir"


@dataclass
class Plan:
    """The jobs of a sweep and what was found wrong with them."""

    sweep: Sweep
    launch: Any
    folder: Path
    code: str
    arguments: list[str]  # after `verb -m`
    checked: Checked
    jobs: list[Job] = field(default_factory=list)
    configs: dict[str, DictConfig] = field(default_factory=dict)  # by key
    same: list[tuple[int, int]] = field(default_factory=list)  # (position, its first occurrence)
    verb: str = "train"  # what its jobs do
    named: bool = True  # its folder, by the user; else it gets one that no other has


def plan(
    overrides: list[str],
    arguments: list[str] | None = None,
    wrong: Callable[[DictConfig], list[Problem]] = lambda _: [],
) -> Plan:
    """Expand, compose and check the jobs of `loom train -m OVERRIDES`; nothing is started.

    `wrong` is what else is asked of the config of each job.

    Raises:
        InputError: the sweep itself (not one of its jobs) cannot be as it was given.
    """
    with composing(arguments) as loader:
        catalog = Catalog(all_conf_dirs(arguments))
        parsed, master = _with_written(_parsed(overrides, loader, catalog), loader, catalog)
        sweep: Sweep = instantiate(master.sweep)
        folder = at_home(str(master.paths.sweep_dir))
        code = code_version(all_conf_dirs(arguments)[1:])
        mine = [o for o in parsed if not _of_the_sweep(o) or o.input_line == ONE_RUN]
        spaces = Spaces(sweep.search, loader, catalog)
        written = sweep.repeated(sweep.expand(mine, spaces), int(master.seed))
        jobs = written if isinstance(sweep, Search) else each_its_own(written)
        checked = check_jobs(jobs, loader, catalog)
        checked.refuse(wrong)
        made = Plan(sweep, instantiate(master.launch), folder, code, overrides, checked)
        if isinstance(sweep, Search):
            before = Ledger(folder).definition() if is_sweep(folder) else {}
            sweep.foresee(list(checked.configs.values()), before)
        else:
            _identify(made, varied_keys(written))
    return made


def _parsed(overrides: list[str], loader: ConfigLoader, catalog: Catalog) -> list[Override]:
    parser = OverridesParser.create(config_loader=loader)
    parsed: list[Override] = []
    unreadable = []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except HydraException:
            unreadable.append(text)
    if unreadable:  # the gate says what is wrong with them
        raise InputError(check_jobs([unreadable], loader, catalog).message())
    return parsed


def _with_written(
    parsed: list[Override], loader: ConfigLoader, catalog: Catalog
) -> tuple[list[Override], DictConfig]:
    """Overrides with what a config says is to be swept and was not typed; the config of it all."""
    master = _master(parsed, loader, catalog)
    words = written_sweep(master)
    if not words and not asks_for_sweep(master):
        return parsed, master
    typed = {o.get_key_element().lstrip("+") for o in parsed}
    written = [o for o in _parsed(words, loader, catalog)
               if o.get_key_element().lstrip("+") not in typed]  # fmt: skip
    parsed = [*written, *parsed]
    return [*parsed, *_parsed([ONE_RUN], loader, catalog)], _master(parsed, loader, catalog)


def _of_the_sweep(override: Override) -> bool:
    group = override.key_or_group.split(".")[0].split("/")[0]
    return group in OF_THE_SWEEP or override.key_or_group == SWEEP_DIR


def _master(parsed: Sequence[Override], loader: ConfigLoader, catalog: Catalog) -> DictConfig:
    """The config that says how to sweep: of the options that do not vary, and its own settings.

    Values of other options stay out, as they may belong to options that are varied.
    """
    refuse_in_sweep(parsed)
    several = [o for o in parsed if _of_the_sweep(o) and o.is_sweep_override()]
    if several:
        key = several[0].key_or_group
        raise InputError(f"{key} takes one value for the whole sweep; give one of them")
    wanted = [
        o.input_line or ""
        for o in parsed
        if not o.is_sweep_override()
        and (
            _of_the_sweep(o)
            or o.key_or_group in (*catalog.options, "seed")
            or o.key_or_group.startswith("paths.")
        )
    ]
    try:
        config = compose_job(wanted)
    except COMPOSE_ERRORS:
        checked = check_jobs([wanted], loader, catalog)
        given = tuple(o.lstrip("+~").partition("=")[0] for o in wanted)
        found = checked.problems[0]  # what belongs to single jobs is not asked for here
        checked.problems[0] = [p for p in found if p.path.startswith(given)] or found
        raise InputError(checked.message()) from None
    found = [p for p in preflight(config, catalog) if p.path not in (MODE, PARAMS)]
    problems = [p for p in found if p.path.startswith(OF_THE_SWEEP)]
    if problems:
        raise InputError("This sweep cannot be run:\n" + "\n".join(f"  - {p}" for p in problems))
    for node in (config.sweep, config.launch):
        authorize({"node": dict(node)})
    return config


def _identify(made: Plan, varied: list[str]) -> None:
    """Give each job that is not refused its key, its folder and what tells it from the others."""
    first: dict[str, int] = {}
    for position, overrides in enumerate(made.checked.jobs):
        if position in made.checked.problems:
            continue
        config = made.checked.configs[position]
        key = job_key(config, varied, made.code)
        if key in first:
            made.same.append((position, first[key]))
            continue
        first[key] = position
        made.configs[key] = config
        made.jobs.append(make_job(position, key, overrides, varied, config))


def make_job(
    number: int, key: str, overrides: list[str], varied: Sequence[str], config: DictConfig
) -> Job:
    """The ledger's row of a job that is to be run."""
    given = {o.lstrip("+").partition("=")[0]: o.partition("=")[2] for o in overrides}
    differs = {k: v for k, v in given.items() if k in varied}
    said = [f"{k}={v}" for k, v in differs.items()] or [o for o in overrides if o != ONE_RUN]
    folder = job_name(number, said, key[:8])
    return Job(key, number, folder, overrides, differs, tokens=tokens_of(config))


def varied_keys(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Keys that do not have the same value in all jobs, in the order they are given."""
    values: dict[str, set[str]] = {}
    for job in jobs:
        for override in job:
            key, _, value = override.lstrip("+").partition("=")
            values.setdefault(key, set()).add(value)
    counts = {key: sum(any(o.lstrip("+").startswith(f"{key}=") for o in job) for job in jobs)
              for key in values}  # fmt: skip
    return [k for k, found in values.items() if len(found) > 1 or counts[k] < len(jobs)]


def tokens_of(config: DictConfig) -> int | None:
    """Training tokens of a run, where its config tells."""
    per_step = int(config.global_batch_size * config.sequence_length)
    steps = known_steps(config.budget, per_step)
    return None if steps is None else steps * per_step
