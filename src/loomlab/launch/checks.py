"""What can be wrong with a launcher's settings, found before a sweep is planned."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any


def joblib_problems(settings: Mapping[str, Any]) -> list[str]:
    """A complaint where joblib is not installed."""
    return _missing("joblib", "joblib")


def ray_problems(settings: Mapping[str, Any]) -> list[str]:
    """A complaint where Ray is not installed."""
    return _missing("ray", "ray")


def submitit_problems(settings: Mapping[str, Any]) -> list[str]:
    """Complaints of submitit that is not installed, and of a time too short to save in."""
    found = _missing("submitit", "slurm")
    minutes, delay = settings["timeout_min"], settings["signal_delay_s"]
    if minutes is not None and delay >= minutes * 60:
        found.append(
            f"signal_delay_s: a job would be told to save {delay} s before the end of its "
            f"{minutes * 60:g} s (timeout_min={minutes:g}): give less"
        )
    return found


def _missing(package: str, extra: str) -> list[str]:
    if find_spec(package) is not None:
        return []
    return [f"the package {package} is not installed: pip install 'loomlab[{extra}]'"]
