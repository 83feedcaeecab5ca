"""The Hydra sweeper `loomlab`: runs the jobs that a sweep's ledger holds.

Cheap to import, as Hydra imports every plugin it finds; so what it needs is imported when used.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class LoomSweeperConfig:
    """How Hydra builds it; what it does is said by the groups `sweep` and `launch`."""

    _target_: str = "hydra_plugins.loomlab_sweeper.sweeper.LoomSweeper"
    params: dict[str, Any] = field(default_factory=dict)  # Hydra's own; the gate says where to


ConfigStore.instance().store("loomlab", LoomSweeperConfig, "hydra/sweeper", provider="loomlab")


class LoomSweeper(Sweeper):
    """Hands `-m` over to loomlab.sweep, which checks, records, launches and takes up again."""

    def __init__(self, params: dict[str, Any]) -> None:
        """`params`: Hydra's own, empty here, since the gate says where else to give them."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives; jobs are processes of their own, so the task is not called."""
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Run what the ledger still holds; ends the process with the sweep's exit code."""
        from loomlab.sweep.run import run_recorded

        raise SystemExit(run_recorded())
