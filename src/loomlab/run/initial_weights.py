"""Start training from the weights of an earlier run or of a saved model, whatever its head."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from loomlab.errors import InputError
from loomlab.model.reshaped import MARKER, rebuild
from loomlab.optimizer.layers import trunk_prefix
from loomlab.run.standard_source import by_our_names
from loomlab.run.weight_source import config_of, read_source

log = logging.getLogger("loomlab")
MENTIONED = 4  # keys that a refusal or the log names


@dataclass
class Fit:
    """Which weights of a source go where in a model."""

    taken: dict[str, Tensor] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def load_initial_weights(model: nn.Module, source: Path, trains: bool = True) -> None:
    """Load a run folder, model folder, safetensors file, checkpoint or name of the hub.

    One of Transformers is put into ours where ours computes the same. The trunk must fit; of a
    head, what has the same names and shapes is taken, the rest of it is left out and stays as it
    was initialized. One line of the log says which. Layers that compression put in place of others
    take their places here, too, if they can be trained or the model is not to be (`trains`).

    Raises:
        InputError: no weights there, a trunk that differs (the keys are named), or integers that
            are to be trained.
    """
    found = read_source(source)
    if found.reshaped:
        _reshape(model, found.reshaped, source, trains)
    weights = by_our_names(model, found.weights, found.config, source)
    fit = fit_weights(model, weights, source)
    model.load_state_dict(fit.taken, strict=False)
    log.info(
        "init=%s: taken: %s; dropped: %s; new: %s",
        source, _grouped(list(fit.taken), trunk_prefix(model)), _few(fit.dropped), _few(fit.new),
    )  # fmt: skip


def shape_as_before(model: nn.Module, source: Path) -> None:
    """Make the layers of a run that goes on as its source had them: its state has the weights.

    The source need not be there any more, unless compression had put layers into it.
    """
    if reshaped := config_of(source).get(MARKER):
        _reshape(model, reshaped, source, trains=True)


def _reshape(
    model: nn.Module, layers: dict[str, dict[str, Any]], source: Path, trains: bool
) -> None:
    if trains and any(record["kind"] == "quantized" for record in layers.values()):
        raise InputError(
            f"init={source}: its weights are quantized, and integers do not train: start from the "
            "run it was made of, and quantize last"
        )
    setattr(model.config, MARKER, layers)
    rebuild(model)


def fit_weights(model: nn.Module, weights: dict[str, Tensor], source: Path) -> Fit:
    """Decide on every weight of a source and of the model.

    Raises:
        InputError: the trunk of the source is not that of the model.
    """
    own, prefix, tied = model.state_dict(), trunk_prefix(model), _tied(model)
    if prefix and not any(key.startswith(prefix) for key in weights):
        weights = {prefix + key: tensor for key, tensor in weights.items()}  # a trunk alone
    complaints = [*misfits(own, weights, prefix, tied), *_untied(weights, tied)]
    if complaints:
        raise InputError(
            f"init={source}: these weights do not fit this model: "
            f"{', '.join(complaints[:MENTIONED])}"
        )
    fit = Fit({k: t for k, t in weights.items() if k in own and own[k].shape == t.shape})
    fit.dropped = sorted(weights.keys() - fit.taken.keys())
    fit.new = sorted(own.keys() - fit.taken.keys() - tied.keys())
    _take_tied_head(model, fit)
    return fit


def misfits(
    own: dict[str, Tensor], found: dict[str, Tensor], prefix: str, tied: dict[str, str]
) -> list[str]:
    """What keeps weights under a prefix (the trunk; "" for all) from being a model's, by key."""

    def trunk(keys: Any) -> set[str]:
        # A pooler serves a head, and comes and goes with it.
        return {k for k in keys if k.startswith(prefix) and not (prefix and ".pooler." in k)}

    ours, theirs = trunk(own), trunk(found)
    wrong = sorted(k for k in ours & theirs if own[k].shape != found[k].shape)
    return [
        *(f"{k} has another shape" for k in wrong),
        *(f"{k} is missing" for k in sorted(ours - theirs - tied.keys())),
        *(f"{k} is not in this model" for k in sorted(theirs - ours)),
    ]


def _untied(found: dict[str, Tensor], tied: dict[str, str]) -> list[str]:
    """Weights that the model shares, but that differ in the source: one would be lost."""
    return [
        f"{key} has values of its own, but is tied in this model"
        for key, other in sorted(tied.items())
        if key in found and other in found and not torch.equal(found[key], found[other])
    ]


def _take_tied_head(model: nn.Module, fit: Fit) -> None:
    """A source that says nothing of the head but shares it with the embedding gives both.

    Only where nothing else is amiss: all of the source was taken, and the output matrix alone is
    missing from the model.
    """
    if fit.dropped or len(fit.new) != 1 or not hasattr(model, "get_output_embeddings"):
        return
    names = {id(p): name for name, p in model.named_parameters(remove_duplicate=False)}
    output, table = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore
    if output is None or names.get(id(output.weight)) != fit.new[0]:
        return
    values = fit.taken[names[id(table.weight)]]
    if values.shape == output.weight.shape:
        fit.taken[fit.new.pop()] = values


def _tied(model: nn.Module) -> dict[str, str]:
    """Names a saved file leaves out, each with the name that holds the same weights."""
    return dict(getattr(model, "all_tied_weights_keys", {}) or {})


def _grouped(keys: list[str], prefix: str) -> str:
    """The trunk as a whole, other keys by name."""
    inside = [k for k in keys if k.startswith(prefix)]
    outside = sorted(set(keys) - set(inside))
    return f"{prefix}* ({len(inside)} weights)" + (f", {_few(outside)}" if outside else "")


def _few(keys: list[str]) -> str:
    more = f" and {len(keys) - MENTIONED} more" if len(keys) > MENTIONED else ""
    return ", ".join(keys[:MENTIONED]) + more if keys else "none"
