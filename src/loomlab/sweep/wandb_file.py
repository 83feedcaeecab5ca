"""A sweep as the file that W&B makes one of, so that its agents start the runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.composer import composing
from loomlab.errors import InputError
from loomlab.logger.wandb_settings import project_of
from loomlab.secrets import masked_override
from loomlab.sweep.base import Search, Sweep
from loomlab.sweep.dimension import Dimension, Values
from loomlab.sweep.goals import Goal, goals
from loomlab.sweep.grid import Grid
from loomlab.sweep.plan import SWEEP_DIR, plan
from loomlab.sweep.random import RandomDraws
from loomlab.sweep.spaces import Space, Spaces

SAID = tuple(f"sweep.{s}" for s in ("n_jobs", "n_trials", "sampler", "objectives", "directions",
                                    "search", "repeat"))  # fmt: skip
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # W&B's rule for names
NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?")  # what Hydra reads as one
OUTPUT = "paths.output_dir"
# A folder of its own for each run; the agent sets both variables for what it starts.
OUTPUT_DIR = (
    f"{OUTPUT}=outputs/wandb/${{oc.env:WANDB_SWEEP_ID,sweep}}/${{oc.env:WANDB_RUN_ID,run}}"
)


def sweep_file(overrides: Sequence[str], flags: Sequence[str] = ()) -> dict[str, Any]:
    """What `wandb sweep` reads, from what `loom train -m` takes; nothing is started.

    `flags` are Hydra's, for every run as well.

    Raises:
        InputError: a job would be refused, or W&B has no way to say something that is given.
    """
    _refuse_secrets(overrides)
    made = plan([o for o in overrides if not o.startswith(f"{OUTPUT}=")], list(flags))
    if made.checked.problems:
        raise InputError(made.checked.message("no file was written:"))
    configs = list(made.checked.configs.values())
    with composing(list(flags)) as loader:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
        mine = [o for o in parsed if not _of_the_sweep(o)]
        spaces = Spaces(made.sweep.search, loader, Catalog(all_conf_dirs(list(flags))))
        varied = _dimensions(Space(mine, spaces))
    fixed = _with_output([o.input_line or "" for o in mine if not o.is_sweep_override()])
    parameters = {_name(d.key): _parameter(d) for d in varied}
    return {
        "program": "loom",
        **_place(configs),
        **_method(made.sweep, configs),
        "parameters": {**parameters, **_seeds(made.sweep, int(configs[0].seed), parameters)},
        "command": ["${env}", "loom", "train", *flags, *fixed, "${args_no_hyphens}"],
    }


def _refuse_secrets(overrides: Sequence[str]) -> None:
    for override in overrides:
        if masked_override(override) != override:
            key = override.partition("=")[0]
            raise InputError(
                f"{key} is a secret, which no file should hold: set it where agents run"
            )


def _of_the_sweep(override: Override) -> bool:
    """Whether the file itself says it; no run and no agent knows of how loom runs sweeps."""
    key = override.key_or_group
    if key in ("sweep", *SAID):
        return True
    if key == SWEEP_DIR or key.split(".")[0] in ("sweep", "launch"):
        raise InputError(f"{key} says how loom runs a sweep, which W&B does here: leave it out")
    return False


def _with_output(fixed: list[str]) -> list[str]:
    given = [o for o in fixed if o.startswith(f"{OUTPUT}=")]
    if any("${" not in o for o in given):
        raise InputError(f"{OUTPUT}: each run needs a folder of its own: leave it out")
    return fixed if given else [*fixed, OUTPUT_DIR]


def _dimensions(space: Space) -> list[Dimension]:
    """All that is varied, which must not depend on the options of a run."""
    each = [space.spaces.of([*space.fixed, *chosen.values()]) for chosen in space.combinations()]
    if any(found != each[0] for found in each):
        raise InputError(
            "sweep.search: the options that are swept have different search spaces, and all runs "
            "of a W&B sweep have the same parameters: sweep each option by itself"
        )
    return [*space.options, *space.numbers, *each[0]]


def _name(key: str) -> str:
    if not PARAMETER.fullmatch(key):
        raise InputError(
            f"{key}: W&B takes letters, digits, '_', '.' and '-' in the name of a parameter; give "
            "it one value, or make it a setting of the option's YAML"
        )
    return key


def _parameter(varied: Dimension) -> dict[str, Any]:
    """Values where they can be counted, else ends with their distribution."""
    if isinstance(varied, Values) or varied.step is not None:
        return {"values": [_value(o.partition("=")[2]) for o in varied.listed()]}
    low, high = (_value(o.partition("=")[2]) for o in varied.ends())
    if varied.log:
        rounded = {"q": 1} if varied.whole else {}
        kind = "q_log_uniform_values" if varied.whole else "log_uniform_values"
        return {"distribution": kind, "min": low, "max": high, **rounded}
    kind = "int_uniform" if varied.whole else "uniform"
    return {"distribution": kind, "min": low, "max": high}


def _value(text: str) -> int | float | str:
    """A number where it is one, so that W&B draws it as one; all else as it is written."""
    if not NUMBER.fullmatch(text):
        return text
    return float(text) if set(text) & set(".eE") else int(text)


def _seeds(sweep: Sweep, first: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameter that `sweep.repeat` stands for."""
    if sweep.repeat == 1:
        return {}
    if type(sweep) is not Grid:
        raise InputError(
            "sweep.repeat: only with sweep=grid does W&B repeat all runs: leave it out"
        )
    assert "seed" not in parameters, "a plan refuses both"
    return {"seed": {"values": list(range(first, first + sweep.repeat))}}


def _method(sweep: Sweep, configs: list[DictConfig]) -> dict[str, Any]:
    """How W&B finds the next run, how many there are, and what they are compared by."""
    if isinstance(sweep, Search):
        return _search(sweep)
    compared = _metric(configs)
    if type(sweep) is Grid:
        return {"method": "grid", **compared}
    if isinstance(sweep, RandomDraws):
        return {"method": "random", "run_cap": sweep.n_jobs, **compared}
    raise InputError("a W&B sweep takes no list of runs: give sweep=grid, random or optuna")


def _search(sweep: Search) -> dict[str, Any]:
    from loomlab.sweep.optuna import Optuna

    assert isinstance(sweep, Optuna)
    if sweep.pruner != "none":
        raise InputError("W&B has no pruner that compares runs as loom does: take sweep=optuna")
    if sweep.sampler == "cmaes":
        raise InputError("sweep.sampler: W&B has no cmaes; tpe becomes its own Bayesian search")
    if len(sweep.goals) > 1:
        raise InputError("sweep.objectives: a W&B sweep follows one number: name one")
    method = "random" if sweep.sampler == "random" else "bayes"
    return {"method": method, "run_cap": sweep.n_trials, "metric": _said(sweep.goals[0])}


def _metric(configs: list[DictConfig]) -> dict[str, Any]:
    """What runs are compared by, unless that is not the same in all."""
    try:
        return {"metric": _said(goals([], [], configs)[0])}
    except InputError:
        return {}


def _said(goal: Goal) -> dict[str, str]:
    """A goal under the name that a run has it by in its summary at W&B, the best of a number."""
    direction = {"min": "minimize", "max": "maximize"}[goal.direction]
    return {"name": f"best/{goal.name}" if goal.held_out else goal.name, "goal": direction}


def _place(configs: list[DictConfig]) -> dict[str, str]:
    """Project and entity of the runs."""
    loggers = [OmegaConf.select(config, "logger.wandb") for config in configs]
    if any(logger is None or logger.mode not in ("auto", "online") for logger in loggers):
        raise InputError("agents hear of their runs by W&B: give logger=wandb, with mode=auto")
    place = {(project_of(logger.project), logger.entity) for logger in loggers}
    if len(place) > 1:
        raise InputError("logger.wandb: a W&B sweep has one project: give one for all runs")
    ((project, entity),) = place
    return {"project": project, **({"entity": str(entity)} if entity else {})}
