"""The settings of ours under which a model computes what a checkpoint of Transformers does.

Read from its config.json, without torch, so that what does not fit is said before anything else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loomlab.errors import InputError

Config = Mapping[str, Any]
THEIR_ACTIVATION = {
    "gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu", "relu2": "relu2", "silu": "silu",
}  # fmt: skip
OUR_ACTIVATION = {theirs: ours for ours, theirs in THEIR_ACTIVATION.items()} | {
    "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_python": "gelu",
    "swish": "silu",
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """What a config.json says of a model, in our words.

    settings: by the key of an override; hidden: width inside the MLP; positions: that it has
    vectors of, 0 without such; groups: heads with keys and values of their own; partly_biased: of
    layers that have a bias in ours, some have none; foreign: what it computes that no setting of
    ours does.
    """

    name: str
    settings: dict[str, Any]
    hidden: int
    positions: int
    groups: int
    vocabulary: int
    of_class: str | None
    partly_biased: bool
    foreign: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """A model type of Transformers.

    defaults: what its config.json may leave out; only: settings with the values that we compute.
    """

    name: str
    read: Callable[[Config], dict[str, Any]]
    defaults: dict[str, Any]
    only: dict[str, tuple[Any, ...]]


def _gpt2(told: Config) -> dict[str, Any]:
    return _decoder(told, "n_layer", "n_embd", "n_head") | {
        "model.norm": "layernorm",
        "model.norm_epsilon": told["layer_norm_epsilon"],
        "model.activation": OUR_ACTIVATION.get(told["activation_function"]),
        "model.bias": True,
        "position": "learned",
    }


def _gpt_neox(told: Config) -> dict[str, Any]:
    return _decoder(told) | _rotary(told) | {
        "model.norm": "layernorm",
        "model.norm_epsilon": told["layer_norm_eps"],
        "model.activation": OUR_ACTIVATION.get(told["hidden_act"]),
        "model.bias": True,
    }  # fmt: skip


def _llama(told: Config) -> dict[str, Any]:
    window = told["sliding_window"]
    return _decoder(told) | _rotary(told) | {
        "model.norm": "rmsnorm",
        "model.norm_epsilon": told["rms_norm_eps"],
        "model.activation": "swiglu",
        "model.bias": bool(told["attention_bias"] or told["mlp_bias"]),
        **({"attention": "sliding_window", "attention.window": window} if window else {}),
    }  # fmt: skip


def _bert(told: Config) -> dict[str, Any]:
    return _sizes(told, "num_hidden_layers", "hidden_size", "num_attention_heads") | {
        "model": "bert",
        "model.norm": "layernorm",
        "model.norm_order": "post",
        "model.norm_epsilon": told["layer_norm_eps"],
        "model.embedding_norm": True,
        "model.activation": OUR_ACTIVATION.get(told["hidden_act"]),
        "model.bias": True,
        "position": "learned",
    }


def _decoder(
    told: Config,
    layers: str = "num_hidden_layers",
    width: str = "hidden_size",
    heads: str = "num_attention_heads",
) -> dict[str, Any]:
    return _sizes(told, layers, width, heads) | {
        "model": "gpt", "model.norm_order": "pre", "model.embedding_norm": False,
    }  # fmt: skip


def _sizes(told: Config, layers: str, width: str, heads: str) -> dict[str, Any]:
    sizes = {"model.layers": layers, "model.width": width, "model.heads": heads}
    return {key: told[name] for key, name in sizes.items()} | {
        "model.tied": bool(told["tie_word_embeddings"]), "attention": "full",
    }  # fmt: skip


def _rotary(told: Config) -> dict[str, Any]:
    return {"position": "rope", "position.base": rope(told)["rope_theta"]}


def rope(told: Config) -> dict[str, Any]:
    """Base, type and share of rotary positions, by today's names or those of older files."""
    scaling = told.get("rope_scaling") or {}
    older = {
        "rope_theta": told.get("rope_theta", told.get("rotary_emb_base", 10000.0)),
        "rope_type": scaling.get("rope_type", scaling.get("type", "default")),
        "partial_rotary_factor": told.get(
            "partial_rotary_factor", told.get("rotary_pct", told["whole_rotary"])
        ),
    }
    return older | (told.get("rope_parameters") or {})


ACTIVATED = tuple(OUR_ACTIVATION)
INSTEAD = "give a folder written by save_pretrained"
BOTH = {
    "tie_word_embeddings": True, "hidden_act": "gelu", "quantization_config": None,
    "add_cross_attention": False, "architectures": None,
}  # fmt: skip
LLAMA = BOTH | {
    "tie_word_embeddings": False, "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "attention_bias": False, "mlp_bias": False, "sliding_window": None, "whole_rotary": 1.0,
}  # fmt: skip
PLAIN = {"quantization_config": (None,), "add_cross_attention": (False,)}
GATED = PLAIN | {"hidden_act": ("silu", "swish")}
KINDS = {
    "gpt2": Kind(
        "GPT-2", _gpt2,
        BOTH | {
            "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
            "n_positions": 1024, "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
        },
        PLAIN | {
            "activation_function": ACTIVATED, "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
        },
    ),
    "gpt_neox": Kind(
        "GPT-NeoX", _gpt_neox,
        BOTH | {
            "tie_word_embeddings": False, "layer_norm_eps": 1e-5,
            "use_parallel_residual": True, "whole_rotary": 0.25,
        },
        PLAIN | {"hidden_act": ACTIVATED, "use_parallel_residual": (False,)},
    ),
    "llama": Kind("Llama", _llama, LLAMA | {"sliding_window": None}, GATED),
    "mistral": Kind("Mistral", _llama, LLAMA | {"sliding_window": 4096}, GATED),
    "bert": Kind(
        "BERT", _bert,
        BOTH | {
            "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "is_decoder": False,
            "position_embedding_type": "absolute",
        },
        PLAIN | {
            "hidden_act": ACTIVATED, "is_decoder": (False,),
            "position_embedding_type": ("absolute", None),
        },
    ),
}  # fmt: skip


def config_beside(weights: Path) -> dict[str, Any]:
    """The config.json of a folder or of a file of weights; empty where none can be read."""
    path = (weights if weights.is_dir() else weights.parent) / "config.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def checkpoint_of(config: Config) -> Checkpoint | None:
    """What the config.json of a checkpoint says; None if its type is none that we know.

    Raises:
        InputError: it lacks a size, or has something else in its place.
    """
    kind = KINDS.get(str(config.get("model_type")))
    if kind is None:
        return None
    told = kind.defaults | dict(config)
    try:
        return _checkpoint(kind, told, kind.read(told))
    except KeyError as error:
        what = f"has no {error.args[0]}"
        raise InputError(f"the config.json of this {kind.name} {what}; {INSTEAD}") from error
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        what = "has a value of another kind than its model's"
        raise InputError(f"the config.json of this {kind.name} {what}; {INSTEAD}") from error


def _checkpoint(kind: Kind, told: Config, settings: dict[str, Any]) -> Checkpoint:
    numbers = [settings[f"model.{name}"] for name in ("layers", "width", "heads")]
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        raise TypeError
    _, width, heads = numbers
    inner = told.get("n_inner", told.get("intermediate_size")) or 4 * width
    learned = settings["position"] == "learned"
    return Checkpoint(
        kind.name,
        settings,
        hidden=inner,
        positions=told.get("n_positions", told.get("max_position_embeddings")) if learned else 0,
        groups=told.get("num_key_value_heads") or heads,
        vocabulary=told["vocab_size"],
        of_class=next(iter(told["architectures"] or ()), None),
        partly_biased=settings["model.bias"]
        and not all(told.get(name, True) for name in ("attention_bias", "mlp_bias")),
        foreign=tuple(_foreign(kind, told, settings)),
    )


def _foreign(kind: Kind, told: Config, settings: Config) -> Iterator[str]:
    for name, known in kind.only.items():
        if told[name] not in known:
            value = "" if isinstance(told[name], dict) else f"={told[name]}"
            yield f"{name}{value}"
    width, heads = settings["model.width"], settings["model.heads"]
    if told.get("head_dim") not in (None, width // heads):
        yield f"head_dim={told['head_dim']} beside {heads} heads of a width of {width}"
    if settings["position"] == "rope":
        turned = rope(told)
        for name, plain in (("rope_type", "default"), ("partial_rotary_factor", 1.0)):
            if turned[name] != plain:
                yield f"{name}={turned[name]}"
