"""Weights and the tokenizer they were trained with belong together."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig
from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError
from loomlab.quoting import to_type
from loomlab.text.beside import tokenizer_beside
from loomlab.tokenizer.base import reads_as
from loomlab.tokenizer.hf import Pretrained

log = logging.getLogger("loomlab")


def require_paired(key: str, source: str, ours: PreTrainedTokenizerFast) -> None:
    """Refuse weights, given as `key`, that were trained with another tokenizer than the one here.

    Where no tokenizer lies beside them nobody can tell, which is said.

    Raises:
        InputError: they were, or their tokenizer cannot be read.
    """
    place = tokenizer_of(source)
    theirs = None if place is None else _loaded(place)
    if theirs is None:
        log.warning(
            "%s=%s: no tokenizer lies beside these weights, so nobody can tell whether they were "
            "trained with the one of this run", key, source,
        )  # fmt: skip
    elif not reads_as(ours, theirs):
        raise InputError(
            f"{key}={source}: these weights were trained with another tokenizer "
            f"({len(theirs)} tokens, this run has {len(ours)}), so their embeddings would be "
            "those of other tokens; leave tokenizer out, which takes theirs, or give "
            f"tokenizer=hf {to_type('tokenizer.name', place)}"
        )


def weights_of(config: DictConfig, named: str | None) -> tuple[str, str] | None:
    """(key, value) of the weights a run starts from, if it does; `named` as the model declares.

    Those of `init` take the place of those of the model option. None as well where the run names
    one source for both, weights and tokenizer.
    """
    if config.init:
        return "init", str(config.init)
    name = config.model.get(named) if named else None
    if name is None or name == config.tokenizer.get("name"):
        return None
    return f"model.{named}", str(name)


def tokenizer_of(source: str) -> str | None:
    """A folder or a name on the hub with the tokenizer of weights, if there is one."""
    if not Path(source).exists():
        return source
    found = tokenizer_beside(Path(source))
    return None if found is None else str(found)


def _loaded(place: str) -> PreTrainedTokenizerFast | None:
    """The tokenizer of a folder; of the hub, where not all weights have one, None without."""
    try:
        return Pretrained(name=place).train()
    except InputError:
        if Path(place).exists():
            raise
        return None
