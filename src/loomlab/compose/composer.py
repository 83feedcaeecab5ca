"""Compose configs from overrides, one job or a whole sweep, as `hydra.main` would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from loomlab.compose.resolvers import register_resolvers
from loomlab.compose.schema import register_schemas
from loomlab.compose.search import install_search_path, named_conf_dirs, package_conf

CONFIG_NAME = "train"


def prepare(arguments: list[str] | None = None) -> None:
    """Register schemas, resolvers and the user's config folders with Hydra."""
    register_resolvers(_swept_keys(arguments or []))
    install_search_path(arguments or [])  # first: schemas are read from the user's modules too
    register_schemas(arguments)


def _swept_keys(arguments: list[str]) -> set[str]:
    """Keys that take several values on a command line."""
    keys = set()
    for argument in arguments:
        try:
            override = OverridesParser.create().parse_override(argument)
        except HydraException:
            continue  # a flag, or what the gate refuses
        if override.is_sweep_override():
            keys.add(override.key_or_group)
    return keys


@contextmanager
def composing(arguments: list[str] | None = None) -> Iterator[ConfigLoader]:
    """Hydra ready to compose; its global state is put back afterwards."""
    prepare(arguments)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(package_conf()), version_base="1.3", job_name=CONFIG_NAME):
        loader = GlobalHydra.instance().config_loader()
        search_path = loader.get_search_path()
        for folder in named_conf_dirs(arguments or []):
            search_path.prepend(provider="command-line", path=f"file://{folder}")
        # A loader reads its search path only when it is made.
        loader.repository = ConfigRepository(search_path)  # type: ignore[attr-defined]
        yield loader


def compose_job(overrides: list[str]) -> DictConfig:
    """The config of one job, with Hydra's own node under `hydra`."""
    return compose(CONFIG_NAME, overrides=overrides, return_hydra_config=True)


def expand_sweep(overrides: list[str], loader: ConfigLoader) -> list[list[str]]:
    """Overrides of every job of a grid sweep, in Hydra's order."""
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(overrides)
    jobs: list[list[str]] = BasicSweeper.split_arguments(parsed, None)[0]
    return jobs
