"""Config files, read once however many jobs are composed from them."""

from __future__ import annotations

import copy
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult


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
        """A config of its own for everyone who asks, as composing changes what it is given."""
        if config_path not in self.read:
            self.read[config_path] = super().load_config(config_path)
        return copy.deepcopy(self.read[config_path])

    def __deepcopy__(self, memo: dict[int, Any]) -> RememberingRepository:
        """What Hydra makes for each composition; it shares what was read from the same places."""
        return copy.copy(self)
