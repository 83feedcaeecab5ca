"""From the node of an option to its constructor."""

from __future__ import annotations

from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from loomlab.allow import authorize


def constructor(node: DictConfig) -> Any:
    """The constructor of an option with its settings filled in; run-time values are still due.

    Raises:
        InputError: a `_target_` anywhere inside is not allowed; nothing was built.
    """
    authorize(OmegaConf.to_container(node, resolve=True))
    return instantiate(node, _partial_=True, _convert_="all")
