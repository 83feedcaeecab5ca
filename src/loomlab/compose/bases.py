"""Composing many jobs that choose the same options: once, then only their values are set.

Hydra reads, orders and merges some fifty files for every job, which is most of what composing
costs. What it does with values afterwards is small and is done here by the same functions.
"""

from __future__ import annotations

import copy

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

from loomlab.compose.defaults_list import quick_defaults

CONFIG_NAME = "train"


class Bases:
    """Composed configs of the choices of options met so far; lives as long as one `composing`."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, ...], DictConfig] = {}
        self.groups: dict[str, bool] = {}

    def compose(self, overrides: list[str]) -> DictConfig:
        """The config of one job with Hydra's node, equal to what `hydra.compose` gives.

        Raises:
            HydraException, OmegaConfBaseException: as `hydra.compose` does.
        """
        parsed = OverridesParser.create().parse_overrides(overrides)
        ConfigLoaderImpl.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=False)
        choices = tuple(o.input_line or "" for o in parsed if self._chooses(o))
        if choices not in self.kept:
            with quick_defaults():
                self.kept[choices] = compose(
                    CONFIG_NAME, overrides=list(choices), return_hydra_config=True
                )
        config = copy.deepcopy(self.kept[choices])
        values = [o for o in parsed if not self._chooses(o)]
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        task = [o for o in parsed if not o.is_hydra_override()]
        config.hydra.overrides.task = [o.input_line for o in task]
        form = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=task, kv_sep=form.kv_sep, item_sep=form.item_sep,
            exclude_keys=form.exclude_keys,
        )  # fmt: skip
        return config

    def _chooses(self, override: Override) -> bool:
        """Whether an override says which files are merged, rather than a value in them."""
        key = override.key_or_group
        if isinstance(override.value(), dict):
            return False
        if key not in self.groups:
            loader = GlobalHydra.instance().config_loader()
            repository = loader.repository  # type: ignore[attr-defined]
            self.groups[key] = key.startswith("hydra") or repository.group_exists(key)
        return self.groups[key]
