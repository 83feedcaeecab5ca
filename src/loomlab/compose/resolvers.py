"""The few interpolations the config uses: one moment in time, run names, job folders."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import cache, partial
from typing import Any

from omegaconf import DictConfig, OmegaConf

from loomlab.compose.choices import chosen

SLUG_LENGTH = 60
_QUIET = ("experiment", "hydra", "paths", "name")  # overrides that say nothing about the result


@cache
def process_start() -> datetime:
    """The moment the process first asked: all paths of a run agree on it."""
    return datetime.now()


def slug(overrides: list[str]) -> str:
    """A short file name from overrides, as `model-bert,lr-0.1`, quiet ones left out."""
    loud = [
        o.lstrip("+~")
        for o in overrides
        if o.lstrip("+~").split(".")[0].split("=")[0] not in _QUIET
    ]
    words = [
        re.sub(r"[^A-Za-z0-9.]+", "-", o.split(".")[-1] if "=" not in o else _short(o))
        for o in loud
    ]
    return "_".join(w.strip("-.") for w in words)[:SLUG_LENGTH].rstrip("-_.") or "default"


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key.rsplit('.', 1)[-1]}-{value}"


def job_name(swept: set[str], number: Any, overrides: list[str]) -> str:
    """The folder of one job of a sweep: number, slug, and a hash that tells equal slugs apart.

    The slug holds what differs between the jobs (`swept` keys), or else everything.
    """
    digest = hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:8]
    differing = [o for o in overrides if o.partition("=")[0] in swept]
    name = slug(differing or list(overrides))
    return f"{int(number) if str(number).isdigit() else 0:03d}_{name}_{digest}"


def run_name(*_: str, _root_: DictConfig) -> str:
    """`name` where it is set, else model and objective."""
    if _root_.get("name"):
        return str(_root_.name)
    picks = chosen(_root_)
    return "-".join(str(picks[a]) for a in ("model", "objective") if picks.get(a))


def register_resolvers(swept: set[str] | None = None) -> None:
    """Register the `loom.` resolvers with OmegaConf; harmless when done twice.

    `swept` are the keys that take several values in the sweep at hand.
    """
    OmegaConf.register_new_resolver(
        "loom.now", lambda form: process_start().strftime(form), replace=True
    )
    OmegaConf.register_new_resolver(
        "loom.job_name", partial(job_name, swept or set()), replace=True
    )
    OmegaConf.register_new_resolver("loom.run_name", run_name, replace=True)
