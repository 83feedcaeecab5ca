"""The few interpolations the config uses: one moment in time, names of runs."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.choices import chosen


@cache
def process_start() -> datetime:
    """The moment the process first asked: all paths of a run agree on it."""
    return datetime.now()


def run_name(*_: str, _root_: DictConfig) -> str:
    """`name` where it is set, else model and objective."""
    if _root_.get("name"):
        return str(_root_.name)
    picks = chosen(_root_)
    return "-".join(str(picks[a]) for a in ("model", "objective") if picks.get(a))


def register_resolvers() -> None:
    """Register the `loom.` resolvers with OmegaConf; harmless when done twice."""
    OmegaConf.register_new_resolver(
        "loom.now", lambda form: process_start().strftime(form), replace=True
    )
    OmegaConf.register_new_resolver("loom.run_name", run_name, replace=True)
