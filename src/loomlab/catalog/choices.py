"""Which option was picked on each axis, read from the composed config itself.

Hydra's `runtime.choices` leaves multi-select groups out, so it is only one of the two sources.
"""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.axes import AXES, SELECTORS, is_own


def chosen(config: DictConfig) -> dict[str, Any]:
    """Axis -> option name, or the list of names on a multi-select axis.

    `config` holds Hydra's own node (a fresh composition) or the recorded `choice` node (a run).
    """
    recorded = OmegaConf.select(config, "choice")
    if recorded is not None:
        return dict(OmegaConf.to_container(recorded))  # type: ignore[arg-type]
    runtime = _runtime_choices(config)
    picks: dict[str, Any] = {}
    for axis in AXES:
        if axis.multiple:
            picks[axis.name] = list(config.get(axis.name) or {})
        elif axis.name in SELECTORS or axis.name != "paths":
            picks[axis.name] = runtime.get(axis.name)
    return picks | {name: option for name, option in runtime.items() if option and is_own(name)}


def own_choices(config: DictConfig) -> list[str]:
    """The config groups of the user's own that an option is picked of."""
    return [name for name, option in chosen(config).items() if option and is_own(name)]


def _runtime_choices(config: DictConfig) -> dict[str, Any]:
    """Hydra's record of the options picked on single-select axes."""
    node = OmegaConf.select(config, "hydra.runtime.choices")
    if node is None:
        from hydra.core.hydra_config import HydraConfig

        node = HydraConfig.get().runtime.choices
    return OmegaConf.to_container(node, resolve=False)  # type: ignore[return-value]
