"""Weights come with the tokenizer they were trained with, where the user has chosen none."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.catalog.source import SourceError, read_target
from loomlab.compose.composer import compose_job
from loomlab.quoting import override
from loomlab.text.beside import tokenizer_beside
from loomlab.text.hub import is_hub_name

AXIS = "tokenizer"


def tokenizer_of_weights(job: list[str], config: DictConfig) -> list[str]:
    """Overrides that take the tokenizer saved beside the weights a job starts from.

    Empty where it starts from none, goes on with a run (which has its own), has chosen a tokenizer
    on the command line or in an experiment, or where no tokenizer lies there. Inside `composing`.
    """
    place = _place(config)
    if place is None or config.get("resume") or _chosen(job, config):
        return []
    return [f"{AXIS}=hf", override(f"{AXIS}.name", place)]


def _place(config: DictConfig) -> str | None:
    """A folder, or a name on the hub, with the tokenizer of the weights."""
    init, name = _value(config, "init"), _value(config, _named_weights(config))
    source = Path(init or name)
    if not (init or name):
        return None
    if not source.exists():
        # What is not there is reported on its own.
        return None if init and not is_hub_name(init) else init or name
    found = tokenizer_beside(source)
    return None if found is None else str(found.absolute())


def _named_weights(config: DictConfig) -> str:
    """The key under which the model option is told whose weights it takes; empty: it is not."""
    try:
        declared = read_target(config.model._target_).attributes
    except (SourceError, OmegaConfBaseException, AttributeError):
        return ""  # reported on its own
    setting = declared.get("named_weights")
    return f"model.{setting}" if setting else ""


def _value(config: DictConfig, key: str) -> str:
    if not key:
        return ""
    try:
        return str(OmegaConf.select(config, key) or "")
    except OmegaConfBaseException:
        return ""


def _chosen(job: list[str], config: DictConfig) -> bool:
    """Whether the command line or an experiment says anything of the tokenizer."""
    keys = (o.lstrip("+~").partition("=")[0].partition("@")[0].split(".")[0] for o in job)
    return AXIS in keys or config.get(AXIS) != compose_job([]).get(AXIS)
