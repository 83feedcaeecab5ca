"""Config files, read once however many jobs are composed from them."""

from __future__ import annotations

import copy
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from loomlab.catalog.yaml_file import (
    NO_SETTINGS,
    OUTSIDE,
    UNREADABLE,
    BadConfigFile,
    fault,
)


class RememberingRepository(ConfigRepository):
    """Hydra reads and parses every file anew for each composition; this one remembers."""

    def __init__(
        self, config_search_path: ConfigSearchPath, read: dict[str, ConfigResult | None]
    ) -> None:
        """`read` is what was read from these places before."""
        super().__init__(config_search_path)
        self.read = read

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Look at other places from now on."""
        self.read = {}
        super().initialize_sources(config_search_path)

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A config of its own for everyone who asks, as composing changes what it is given.

        Raises:
            BadConfigFile: the file is there and is no config, or lies outside the config folders,
                where a list of defaults may not lead.
        """
        if ".." in config_path.split("/"):
            raise BadConfigFile(config_path, OUTSIDE)
        if config_path not in self.read:
            self.read[config_path] = self._load(config_path)
        return copy.deepcopy(self.read[config_path])

    def _load(self, config_path: str) -> ConfigResult | None:
        try:
            found = super().load_config(config_path)
        except UNREADABLE as error:
            raise BadConfigFile(self._place(config_path), fault(error)) from error
        if found is not None and not OmegaConf.is_dict(found.config):
            raise BadConfigFile(self._place(config_path), NO_SETTINGS)
        return found

    def _place(self, config_path: str) -> str:
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        return f"{source.path if source else ''}/{config_path.removesuffix('.yaml')}.yaml"

    def __deepcopy__(self, memo: dict[int, Any]) -> RememberingRepository:
        """What Hydra makes for each composition; it shares what was read from the same places."""
        return copy.copy(self)
