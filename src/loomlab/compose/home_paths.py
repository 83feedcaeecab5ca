"""Paths of a config that begin with `~`, made whole before anything reads them."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.home import at_home
from loomlab.quoting import override

PATHS = (
    *("paths.output_dir", "paths.sweep_dir", "paths.cache_dir"),
    *("init", "resume", "model.name", "tokenizer.name"),
)


def paths_at_home(config: DictConfig) -> list[str]:
    """Make paths of a config whole that begin with `~`; the overrides that do so elsewhere."""
    found = {}
    for key in _path_keys(config):
        if not str(_written(config, key)).startswith(("~", "${")):
            continue  # nothing that is put into it can stand before its beginning
        try:
            given = str(OmegaConf.select(config, key))
        except OmegaConfBaseException:
            continue  # what is wrong there is reported on its own
        if given.startswith("~"):
            found[key] = str(at_home(given))
            OmegaConf.update(config, key, found[key])
    return [override(key, path) for key, path in found.items()]


def _written(config: DictConfig, key: str) -> object:
    """A setting as it is written, interpolations and all."""
    group, _, name = key.rpartition(".")
    node = OmegaConf.select(config, group) if group else config
    if not isinstance(node, DictConfig) or OmegaConf.is_missing(node, name):
        return None
    return dict(node.items_ex(resolve=False, keys=[name])).get(name)


def _path_keys(config: DictConfig) -> Iterator[str]:
    """Settings that hold a path, of which corpora alone look after themselves."""
    yield from PATHS
    stack = config.get("compression")
    for option in map(str, stack if isinstance(stack, DictConfig) else ()):
        yield from (f"compression.{option}.{key}" for key in ("teacher", "cache"))
