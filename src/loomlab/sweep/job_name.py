"""What the folder of a job of a sweep is called."""

from __future__ import annotations

import re

from loomlab.secrets import is_secret

SLUG_LENGTH = 60
_QUIET = ("experiment", "hydra", "paths", "name")  # overrides that say nothing about the result


def slug(overrides: list[str]) -> str:
    """A short file name from overrides, as `model-bert,lr-0.1`, quiet ones left out."""
    loud = [
        o.lstrip("+~")
        for o in overrides
        if o.lstrip("+~").split(".")[0].split("=")[0] not in _QUIET
        and not is_secret(o.partition("=")[0].rpartition(".")[2])
    ]
    words = [
        re.sub(r"[^A-Za-z0-9.]+", "-", o.split(".")[-1] if "=" not in o else _short(o))
        for o in loud
    ]
    return "_".join(w.strip("-.") for w in words)[:SLUG_LENGTH].rstrip("-_.") or "default"


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key.rsplit('.', 1)[-1]}-{value}"


def job_name(number: int, overrides: list[str], key: str) -> str:
    """The folder of one job of a sweep: number, slug, and a hash that tells equal slugs apart."""
    return f"{number:03d}_{slug(overrides)}_{key}"
