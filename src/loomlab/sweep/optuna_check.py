"""What can be wrong with the settings of a search, found without optuna."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

INSTALL = "pip install 'loomlab[optuna]'"


def problems(settings: Mapping[str, Any]) -> list[str]:
    """Packages that are missing, and settings that do not go together."""
    found = []
    needed = ["optuna", *(["cmaes"] if settings.get("sampler") == "cmaes" else [])]
    for package in needed:
        if find_spec(package) is None:
            found.append(f"the package {package} is not installed: {INSTALL}")
    names, directions = settings.get("objectives") or [], settings.get("directions") or []
    if directions and len(directions) != len(names):
        found.append(
            f"directions: there are {len(directions)} for {len(names)} objectives; give min or "
            "max for each of sweep.objectives, in its order"
        )
    for direction in set(directions) - {"min", "max"}:
        found.append(f"directions: {direction} is no direction; give min or max")
    if len(names) != len(set(names)):
        found.append("objectives: one is named twice; leave it out")
    if len(names) > 1 and settings.get("sampler") == "cmaes":
        found.append("sampler: cmaes follows one objective; take sweep.sampler=tpe or random")
    if len(names) > 1 and settings.get("pruner", "none") != "none":
        found.append(
            "pruner: with several objectives no trial is behind in all that counts; give "
            "sweep.pruner=none"
        )
    if (
        len(names) == 1
        and settings.get("pruner", "none") != "none"
        and not names[0].startswith("val/")
    ):
        found.append(
            f"pruner: {names[0]} is not measured during training; give sweep.pruner=none or a "
            "val/... objective"
        )
    if settings.get("repeat", 1) > 1:
        found.append("repeat: a search judges a trial by one run; leave sweep.repeat out")
    return found
