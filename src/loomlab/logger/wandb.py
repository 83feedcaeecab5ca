"""Weights and Biases through the real client."""

from __future__ import annotations

import hashlib
import netrc
import os
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning.loggers import WandbLogger

from loomlab.logger.base import LoggerOption

API_HOST = "api.wandb.ai"


class Wandb(LoggerOption):
    """Weights and Biases: online if a key exists, else offline (send later with `wandb sync`)."""

    def __init__(
        self,
        project: str = "loomlab",
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] = [],  # noqa: B006  a schema default, never changed
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
    ) -> None:
        self.project = project
        self.entity = entity
        self.group = group
        self.tags = tags
        self.mode = mode

    def build(self, *, run_dir: Path, name: str, config: dict[str, Any]) -> WandbLogger:
        """A WandbLogger in RUN_DIR/wandb; the config is sent at the start of the run."""
        os.environ.setdefault("WANDB_SILENT", "true")  # its own lines would break the bar
        import wandb

        mode = self.mode if self.mode != "auto" else ("online" if has_key() else "offline")
        logger = WandbLogger(
            name=name,
            save_dir=str(run_dir),
            project=self.project,
            entity=self.entity,
            group=self.group or run_dir.parent.name,
            tags=self.tags,
            config=config,
            id=hashlib.sha256(str(run_dir.resolve()).encode()).hexdigest()[:12],
            resume="allow",
            mode=mode,
            settings=wandb.Settings(console="off", silent=True),
        )
        vars(logger)["_wandb_init"].pop("anonymous", None)  # Lightning sends it; it only warns
        _ = logger.experiment  # starts the run now, so that its config is there from the start
        return logger


def has_key() -> bool:
    """Whether an API key is in the environment or in ~/.netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(API_HOST) is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def finish(exit_code: int) -> None:
    """End the W&B run of this process; otherwise the next job would write into it."""
    import sys

    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=exit_code)
