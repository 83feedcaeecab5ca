"""Checkpoints of Transformers as weights of our models, where ours compute the same.

Shapes: V vocabulary, D width.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from loomlab.errors import InputError
from loomlab.model.standard_misfit import given_settings, misfit
from loomlab.model.standard_names import BY_TYPE, OURS, POSITIONS, Names
from loomlab.model.standard_settings import Checkpoint, checkpoint_of
from loomlab.model.standard_weights import Sizes, to_ours
from loomlab.model.transformer import TransformerModel
from loomlab.quoting import to_type

log = logging.getLogger("loomlab")
EMBEDDING, TABLE = f"{OURS}embedding.weight", f"{POSITIONS}.weight"
OF_VOCABULARY = (EMBEDDING, "lm_head.weight", "head.decoder.weight", "head.decoder.bias")
PADDING = 512  # a vocabulary is filled up to a round number with fewer rows than this


def by_our_names(
    model: nn.Module, weights: dict[str, Tensor], told: dict[str, Any], source: Path
) -> dict[str, Tensor]:
    """The weights of a source as those of a model of ours; others stay as they are.

    told: what the config.json beside them says. What was changed to fit is said in a line.

    Raises:
        InputError: the model computes something else than the checkpoint, or has other tokens.
    """
    try:
        checkpoint = checkpoint_of(told)
    except InputError as error:
        raise InputError(f"init={source}: {error}") from error
    if checkpoint is None or not isinstance(model, TransformerModel):
        return weights
    _require_alike(model, checkpoint, source)
    names, own = BY_TYPE[told["model_type"]], model.state_dict()
    settings = checkpoint.settings
    sizes = Sizes(settings["model.layers"], settings["model.heads"], checkpoint.groups)
    found = to_ours(weights, names, sizes, _kind(model, names), own, checkpoint.of_class)
    notes = [*_cut(found, own, source), *_changes(weights, checkpoint, names)]
    log.info(
        "init=%s: a %s of Transformers, under our names%s",
        source, checkpoint.name, "".join(f"; {note}" for note in notes),
    )  # fmt: skip
    return found


def _kind(model: nn.Module, names: Names) -> str:
    """The class of ours that a model is of, if it has a head that theirs have, too."""
    return next((c.__name__ for c in type(model).__mro__ if c.__name__ in names.heads), "")


def _require_alike(model: TransformerModel, checkpoint: Checkpoint, source: Path) -> None:
    config = model.config
    given = given_settings(vars(config), config.attention, config.position, config.architecture)
    length, gives_tokens = config.context_length, hasattr(model, "logits_head")
    if found := misfit(source, checkpoint, given, length, gives_tokens):
        raise InputError(f"init: {'; '.join(found)}")


def _cut(found: dict[str, Tensor], own: dict[str, Tensor], source: Path) -> Iterator[str]:
    """Leave out rows for positions and tokens that the model does not have, saying so."""
    places, tokens = len(found.get(TABLE, ())), len(found.get(EMBEDDING, ()))
    if places > (kept := len(own.get(TABLE, ()))) > 0:
        found[TABLE] = found[TABLE][:kept]
        yield f"the first {kept:,} of its {places:,} positions"
    known = len(own[EMBEDDING])
    if tokens and not known <= tokens < known + PADDING:
        raise InputError(
            f"init={source}: these weights are for {tokens:,} tokens, but the tokenizer of this "
            f"run has {known:,}; give theirs by tokenizer=hf {to_type('tokenizer.name', 'FOLDER')}"
        )
    if tokens > known:
        for key in OF_VOCABULARY:
            if key in found:
                found[key] = found[key][:known]
        yield f"{tokens - known} rows that stand for no token of the tokenizer are left out"


def _changes(weights: dict[str, Tensor], checkpoint: Checkpoint, names: Names) -> Iterator[str]:
    heads = checkpoint.settings["model.heads"]
    if checkpoint.groups != heads:
        yield (
            f"its {checkpoint.groups} heads of keys and values are repeated for the {heads} heads "
            "they serve"
        )
    if checkpoint.partly_biased:
        yield "biases that it lacks begin at zero"
    if names.first_row and any(names.first_row in key for key in weights):
        yield "the vector of its first segment is added to every position"
