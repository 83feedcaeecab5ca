"""Whether weights to start from are there, and are those of the model that a run has composed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loomlab.catalog.problem import Problem
from loomlab.catalog.source import SourceError, read_target
from loomlab.errors import InputError
from loomlab.model.standard_misfit import given_settings, misfit
from loomlab.model.standard_settings import checkpoint_of, config_beside
from loomlab.text.hub import cached, fetched, is_hub_name

TOKENS = ("causal_lm", "masked_lm")  # heads that give tokens


def problems_of_init(init: str, resolved: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with `init` for a resolved config, without reading any weights.

    Of a model of the hub that is not in the local cache, its config.json is fetched.
    """
    source = Path(init)
    if source.exists():
        told = config_beside(source / "model") or config_beside(source)
    elif not is_hub_name(init):
        what = f"{init} does not exist"
        yield Problem("init", what, "give a run folder, a saved model or its name on the hub")
        return
    else:
        try:
            told = config_beside(cached(init) or fetched("init", init))
        except InputError as error:
            yield Problem("init", str(error).removeprefix("init="))
            return
    yield from _misfits(init, told, resolved)


def _misfits(init: str, told: dict[str, Any], resolved: Mapping[str, Any]) -> Iterator[Problem]:
    """What keeps a checkpoint of Transformers from being one of our models."""
    try:
        model = dict(resolved["model"])
        option = read_target(model.pop("_target_")).attributes
        head = read_target(resolved["objective"]["_target_"]).attributes.get("head")
        checkpoint = checkpoint_of(told)
    except InputError as error:
        yield Problem("init", f"{init}: {error}")
        return
    except (SourceError, KeyError, TypeError, AttributeError):
        return  # an option that is reported on its own
    if checkpoint is None or not option.get("model_type"):
        return
    length = resolved.get("sequence_length")
    given = given_settings(
        model, resolved["attention"], resolved["position"], option["architecture"]
    )
    if not isinstance(length, int) or "???" in map(str, given.values()):
        return
    if found := misfit(init, checkpoint, given, length, head in TOKENS):
        yield Problem("init", *found)
