"""Which optimizers of the package pytorch-optimizer a run can use, and with which settings.

Importing this module imports neither that package nor torch: a preflight may ask.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping
from typing import Any

from loomlab.errors import did_you_mean, first_line

PACKAGE = "pytorch_optimizer"
INSTALL = "pip install 'loomlab[optimizers]'"
HESSIAN = "needs second derivatives, for which a gradient would have to be kept as a graph"
CLOSURE = "needs the loss to be computed anew within its step"
MUON = "takes groups of its own form (use_muon); use optimizer=muon"
WHOLE = "takes the whole model and updates weights during the backward pass"
OBJECTS = "keeps Python objects in its state, which no checkpoint that is safe to load can hold"
REFUSED = {
    "a2grad": "has no learning rate that a schedule could set",
    "adago": MUON,
    "adahessian": HESSIAN,
    "adalomo": WHOLE,
    "adammini": "takes the whole model and makes groups of its own",
    "adamuon": MUON,
    "adashift": OBJECTS,
    "alig": CLOSURE,
    "bsam": CLOSURE,
    "conda": OBJECTS,
    "demo": "replaces the exchange of gradients between processes",
    "distributedmuon": MUON,
    "lbfgs": CLOSURE,
    "lomo": WHOLE,
    "lorarite": "steps pairs of low-rank matrices only",
    "magma": "wraps another optimizer",
    "muon": MUON,
    "muonclip": MUON,
    "normuon": MUON,
    "ranger21": "lays a schedule of its own over the run; use scheduler= with another optimizer",
    "scalableshampoo": OBJECTS,
    "scion": OBJECTS,
    "scionlight": OBJECTS,
    "sophiah": HESSIAN,
    "spectralsphere": "steps matrices only; use optimizer=muon",
}
ELSEWHERE = {"lr": "optimizer.lr", "weight_decay": "optimizer.weight_decay"}


def problems(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings of optimizer=pytorch_optimizer; empty if they work."""
    if importlib.util.find_spec(PACKAGE) is None:
        return [f"name: the package pytorch-optimizer is not installed: {INSTALL}"]
    import pytorch_optimizer

    name, known = str(settings["name"]), pytorch_optimizer.get_supported_optimizers()
    if name not in known:
        usable = [n for n in known if n not in REFUSED]
        hint = did_you_mean(name, usable) or "one of " + ", ".join(usable)
        return [f"name: pytorch-optimizer has no '{name}'; {hint}"]
    if name in REFUSED:
        return [f"name: {name} {REFUSED[name]}"]
    parameters = inspect.signature(pytorch_optimizer.load_optimizer(name)).parameters
    return [*_unfit(settings, parameters), *_common(settings, parameters)] or _trial(settings)


def _unfit(settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """Settings the optimizer does not have."""
    known = {
        name
        for name, parameter in parameters.items()
        if parameter.kind == parameter.POSITIONAL_OR_KEYWORD and name not in ("params", *ELSEWHERE)
    }
    name, found = settings["name"], []
    for key in settings.get("settings") or {}:
        if key in ELSEWHERE:
            found.append(f"settings.{key}: is set by {ELSEWHERE[key]}")
        elif key not in known:
            fix = did_you_mean(str(key), known, "settings")
            found.append(f"settings.{key}: {name} has no setting '{key}'; {fix}")
    return found


def _common(settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """The rate and the decay, which not every optimizer of the package has."""
    name, found = settings["name"], []
    if settings.get("weight_decay") and "weight_decay" not in parameters:
        found.append(f"weight_decay: {name} has no weight decay; set it to 0")
    if settings.get("lr") is None and parameters["lr"].default is None:
        found.append(f"lr: {name} has no usual rate; give one, such as optimizer.lr=0.01")
    return found


def _trial(settings: Mapping[str, Any]) -> list[str]:
    """What the optimizer itself says of the values, tried on one small matrix."""
    import torch

    try:
        create([torch.nn.Parameter(torch.zeros(2, 2))], settings)
    except (TypeError, ValueError, AssertionError, NotImplementedError) as error:
        return [f"settings: {settings['name']} refuses them: {first_line(error)}"]
    return []


def create(groups: list[Any], settings: Mapping[str, Any]) -> Any:
    """The optimizer of that name over parameter groups."""
    import pytorch_optimizer

    given = dict(settings.get("settings") or {})
    for key in ELSEWHERE:
        if settings.get(key) is not None:
            given[key] = settings[key]
    kind = pytorch_optimizer.load_optimizer(str(settings["name"]))
    if "weight_decay" not in inspect.signature(kind).parameters:
        given.pop("weight_decay", None)
    # The configuration has lists where the library's functions check for tuples.
    plain: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in given.items()
    }
    return kind(groups, **plain)
