"""What a run depends on beside its config: versions, machine and the state of the code."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loomlab.measure.machine import processor

PACKAGES = (
    "loomlab", "torch", "pytorch-lightning", "transformers", "tokenizers", "hydra-core",
    "omegaconf", "peft", "wandb", "numpy",
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """Versions, processor and git state, as plain values."""
    import torch

    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {
            "system": platform.platform(),
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "gpus": torch.cuda.device_count(),
        },
        "git": git_state(Path(__file__).parent),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any]:
    """Commit and whether files differ from it; empty outside a checkout."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain"))}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
