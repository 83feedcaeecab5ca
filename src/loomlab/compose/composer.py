"""Compose configs from overrides, one job or a whole sweep, as `hydra.main` would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from loomlab.catalog.resolvers import register_resolvers
from loomlab.catalog.schema import register_schemas
from loomlab.catalog.search import install_search_path, named_conf_dirs, package_conf
from loomlab.compose.bases import CONFIG_NAME, Bases
from loomlab.compose.memory import recall
from loomlab.compose.repository import RememberingRepository

_bases: list[Bases] = []  # of the innermost `composing`


def prepare(arguments: list[str] | None = None) -> int:
    """Register resolvers, the user's config folders and schemas with Hydra.

    The number tells states of the schemas apart.
    """
    register_resolvers()
    install_search_path(arguments or [])  # first: schemas are read from the user's modules too
    return register_schemas(arguments)


@contextmanager
def composing(arguments: list[str] | None = None) -> Iterator[ConfigLoader]:
    """Hydra ready to compose; its global state is put back afterwards."""
    schemas = prepare(arguments)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(package_conf()), version_base="1.3", job_name=CONFIG_NAME):
        loader = GlobalHydra.instance().config_loader()
        search_path = loader.get_search_path()
        for folder in named_conf_dirs(arguments or []):
            search_path.prepend(provider="command-line", path=f"file://{folder}")
        memory = recall(search_path, schemas)
        # A loader reads its search path only when it is made.
        repository = RememberingRepository(search_path, memory.read)
        loader.repository = repository  # type: ignore[attr-defined]
        _bases.append(memory.bases)
        try:
            yield loader
        finally:
            _bases.pop()


def compose_job(overrides: list[str]) -> DictConfig:
    """The config of one job, inside `composing`, with Hydra's own node under `hydra`."""
    return _bases[-1].compose(overrides)
