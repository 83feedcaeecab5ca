"""Hydra's own flags and node: what of them would run something else than the gates have seen."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.problem import Problem
from loomlab.compose.bases import CONFIG_NAME
from loomlab.errors import InputError

SEARCH_PATH = "hydra.searchpath"  # comes first, as options may be found through it alone
MODE, PARAMS = "hydra.mode", "hydra.sweeper.params"  # by these a config asks for a sweep
ONE_RUN = f"{MODE}=RUN"
ENGINES = {
    "sweeper": ("hydra_plugins.loomlab_sweeper.sweeper.LoomSweeper", "sweep"),
    "launcher": ("hydra._internal.core_plugins.basic_launcher.BasicLauncher", "launch"),
}
OF_EACH_JOB = {  # settings of a run that every job of a sweep has of its own
    "paths.output_dir": "each job has a folder of its own in paths.sweep_dir: give that",
    "hydra.run": "each job has a folder of its own in paths.sweep_dir: give that",
    "hydra.sweep": "is decided by paths.sweep_dir: give that",
    "overwrite": "a sweep goes on with what is in its folder: give another paths.sweep_dir",
    "resume": "takes one run: leave -m out, or use `loom sweep resume DIR`",
}


def command_line(argv: list[str], verb: str) -> tuple[list[str], Namespace]:
    """The command line of a verb that is a Hydra app, flags first, and what Hydra makes of it.

    Hydra itself takes overrides in one place only, before or after the flags.

    Raises:
        InputError: there is no such flag, or it asks for something else than is checked.
    """

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{message}; see `loom {verb} --help`")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    given, extra = parser.parse_known_intermixed_args(argv)
    if extra:
        refuse(f"there is no flag {next(word for word in extra if word.startswith('-'))}")
    flags = list(argv)
    for word in given.overrides:
        flags.remove(word)
    _refuse_flags(given)
    return [*flags, *given.overrides], given


def _refuse_flags(given: Namespace) -> None:
    """Refuse flags of Hydra under which it would not run what the gates compose.

    Raises:
        InputError: naming the flag and what does as much.
    """
    if given.config_name not in (None, CONFIG_NAME):
        raise InputError(
            f"--config-name {given.config_name}: every run starts from {CONFIG_NAME}.yaml; make "
            f"the file conf/experiment/{Path(given.config_name).stem}.yaml (its first line: "
            f"# @package _global_) and choose it by experiment={Path(given.config_name).stem}"
        )
    if given.config_path is not None:
        raise InputError(
            f"--config-path {given.config_path}: options of your own are added, not put in the "
            f"place of all others: --config-dir {given.config_path}"
        )
    if given.experimental_rerun is not None:
        raise InputError("--experimental-rerun: a stopped run goes on by resume=RUN_DIR")
    if given.config_dir is not None and not Path(given.config_dir).is_dir():
        raise InputError(f"--config-dir {given.config_dir}: there is no such folder")
    if given.run and given.multirun:
        raise InputError("--run and --multirun: leave one out")


def refuse_in_sweep(parsed: Sequence[Override]) -> None:
    """Refuse settings that the jobs of a sweep would not get.

    Raises:
        InputError: naming the first of them and what to give instead.
    """
    for override in parsed:
        key = override.key_or_group
        if key.startswith(PARAMS) or (key == MODE and override.value() == "MULTIRUN"):
            continue  # says nothing else than -m does
        for engine, (_, axis) in ENGINES.items():
            if key.startswith((f"hydra/{engine}", f"hydra.{engine}")):
                raise InputError(
                    f"{key}: loom runs its sweeps itself, so that they survive; choose how with "
                    f"{axis}=..., see `loom options {axis}`"
                )
        for part, why in OF_EACH_JOB.items():
            unset = override.value() in (None, False)  # as it is without
            if (key == part or key.startswith(f"{part}.")) and not unset:
                raise InputError(f"{key} {why}" if part == "resume" else f"{key}: {why}")
        if key.startswith("hydra") and key != SEARCH_PATH:
            raise InputError(
                f"{key}: settings of Hydra's own do not reach the jobs of a sweep; leave it out"
            )


def flags_of_jobs(argv: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The part of a sweep's command line that the command of each job begins with, too."""
    return [
        a
        for a in argv
        if (a not in overrides and a not in ("-m", "--multirun"))
        or a.lstrip("+").startswith(f"{SEARCH_PATH}=")
    ]


class SweepAsked(InputError):
    """A config asks for a sweep, as `-m` does."""


def asks_for_sweep(config: DictConfig) -> bool:
    """Whether a config says that what it is composed for is a sweep; what is resumed is a run."""
    mode = _of(config, "mode")
    return mode is not None and bool(mode.name == "MULTIRUN") and not config.get("resume")


def written_sweep(config: DictConfig) -> list[str]:
    """What a config says is to be swept, as it would be typed after `-m`."""
    params = _of(config, "sweeper.params")
    values = dict(params.items_ex(resolve=False)) if isinstance(params, DictConfig) else {}
    return [f"{key!s}={value}" for key, value in values.items()]


def not_as_checked(config: DictConfig) -> Iterator[Problem]:
    """Settings in Hydra's node, whoever made them, that a run of ours does not have.

    What a config says of a sweep is not meant for its jobs, which are told that they are ONE_RUN.
    """
    if asks_for_sweep(config):
        yield Problem(MODE, "it asks for a sweep, and this is one run", "leave it out")
    for engine, (target, axis) in ENGINES.items():
        node = _of(config, engine)
        if OmegaConf.is_dict(node) and node.get("_target_") != target:
            what = f"loom runs its sweeps itself, not by {node.get('_target_')}"
            yield Problem(f"hydra.{engine}", what, f"choose how with {axis}=...")
    decided = _of(config, "mode") is not None or config.get("resume")
    if not decided and written_sweep(config):
        what = "it says what to sweep, and this is one run"
        yield Problem(PARAMS, what, "add -m, or set hydra.mode: MULTIRUN there")
    if _of(config, "job.chdir"):
        what = "a run stays in the folder that it was started in, where its relative paths lead"
        yield Problem("hydra.job.chdir", what, "leave it out")


def _of(config: DictConfig, key: str) -> Any:
    return OmegaConf.select(config, f"hydra.{key}", throw_on_resolution_failure=False)
