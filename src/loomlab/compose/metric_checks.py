"""Metrics that settings name must be there, and go the way that their objective says."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.compatibility import Pick
from loomlab.catalog.problem import Problem
from loomlab.errors import did_you_mean


def metric_problems(config: DictConfig, picks: list[Pick]) -> Iterator[Problem]:
    """A metric that runs are compared or kept by must be one the objective reports."""
    objective = next((p for p in picks if p.axis == "objective"), None)
    names = objective.declares("metrics", ()) if objective else ()
    keepers = [pick.path for pick in picks if "monitor" in pick.source.settings()]
    for path in ("metric", *(f"{keeper}.monitor" for keeper in keepers)):
        value = OmegaConf.select(config, path)
        known = [f"val/{name}" for name in names]
        if names and value is not None and value not in known:
            what = f"{objective} reports no '{value}'"
            yield Problem(path, what, did_you_mean(str(value), known, "metrics"))
    if objective is not None:
        yield from _directions(config, objective, keepers)


def _directions(config: DictConfig, objective: Pick, keepers: list[str]) -> Iterator[Problem]:
    """Which way a metric is better belongs to it."""
    more, (compared_by, _) = (
        objective.declares("more_is_better", ()),
        objective.declares("best_by", ("", "")),
    )
    for keeper in keepers:
        mode = OmegaConf.select(config, f"{keeper}.mode")
        metric = str(OmegaConf.select(config, f"{keeper}.monitor") or compared_by)
        right = "max" if metric.rpartition("/")[2] in more else "min"
        if mode in ("min", "max") and mode != right:  # other words are no mode at all
            what = f"{mode}, but {'more' if right == 'max' else 'less'} of {metric} is better"
            yield Problem(f"{keeper}.mode", what, "leave it out")
