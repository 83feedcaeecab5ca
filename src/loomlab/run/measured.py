"""Choices that were made by measuring: made once in a run, and the same in all its processes."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf


def keep_measured_choices(config: DictConfig, summary: dict[str, Any]) -> None:
    """Let a process use what the first one, or an earlier part of the run, found to be fastest.

    With other kernels or another number format its numbers would not be those of the same run.
    """
    runtime = summary.get("runtime", {})
    OmegaConf.set_struct(config, False)
    config.runtime.update({k: v for k, v in runtime.items() if k in config.runtime})
    if "precision" in summary and "faster_by" in config.precision:
        OmegaConf.set_struct(config.precision, False)  # its schema has only what a user may set
        config.precision.measured = summary["precision"] == "bf16-mixed"
