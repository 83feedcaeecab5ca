"""The settings shared by the Transformers of this package."""

from typing import Annotated, Any, Literal

from transformers import PreTrainedConfig

from loomlab.errors import InputError
from loomlab.model.saved import load_pretrained

TYPED = "_typed"  # by which standard names settings were given, for what is said of them


class TransformerConfig(PreTrainedConfig):
    """Settings of a Transformer trunk; decoders and encoders derive from it.

    Each derived class needs an `__init__` of its own, or Transformers writes one over it.
    """

    architecture = "decoder"
    multiple_of = {"width": "heads"}
    attribute_map = {
        "hidden_size": "width",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "max_position_embeddings": "context_length",
        "tie_word_embeddings": "tied",
    }

    def __init__(
        self,
        layers: Annotated[int, "[1, inf)"] = 4,
        width: Annotated[int, "[1, inf)"] = 256,
        heads: Annotated[int, "[1, inf)"] = 4,
        mlp_ratio: Annotated[float, "(0, inf)"] = 4.0,
        norm: Literal["layernorm", "rmsnorm"] = "layernorm",
        norm_order: Literal["pre", "post"] = "pre",
        norm_epsilon: Annotated[float, "(0, 1)"] = 1e-5,
        embedding_norm: bool = False,
        activation: Literal["gelu", "gelu_tanh", "relu", "relu2", "silu", "swiglu"] = "gelu_tanh",
        tied: bool = True,
        bias: bool = True,
        dropout: Annotated[float, "[0, 1)"] = 0.0,
        attention_dropout: Annotated[float, "[0, 1)"] = 0.0,
        embedding_dropout: Annotated[float, "[0, 1)"] = 0.0,
        initializer_range: Annotated[float, "(0, inf)"] = 0.02,
        *,
        vocab_size: int = 256,
        context_length: int = 256,
        attention: dict[str, Any] | None = None,
        position: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        typed = kwargs.pop(TYPED, {})
        if width % heads:
            names = [typed.get(name, f"model.{name}") for name in ("width", "heads")]
            raise InputError(
                f"{names[0]}={width} is not a multiple of {names[1]}={heads}: "
                f"give {names[0]}={heads * max(1, round(width / heads))}."
            )
        self.layers, self.width, self.heads, self.mlp_ratio = layers, width, heads, mlp_ratio
        self.norm, self.norm_order, self.norm_epsilon = norm, norm_order, norm_epsilon
        self.embedding_norm, self.activation = embedding_norm, activation
        self.tied, self.bias = tied, bias
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.embedding_dropout, self.initializer_range = embedding_dropout, initializer_range
        self.vocab_size, self.context_length = vocab_size, context_length
        self.attention, self.position = attention, position
        # Standard names of Transformers that every reader of a config may ask for.
        for name in ("pad_token_id", "eos_token_id", "bos_token_id"):
            setattr(self, name, kwargs.pop(name, None))
        super().__init__(**kwargs)

    @classmethod
    def own_names(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Settings by the names of this package; the standard ones of Transformers mean the same.

        Raises:
            InputError: a setting is given by both of its names, with unlike values.
        """
        own, typed = dict(given), dict[str, str]()
        for standard, name in cls.attribute_map.items():
            if standard not in own:
                continue
            value = own.pop(standard)
            if name not in own:
                own[name], typed[name] = value, standard
            elif own[name] != value:
                raise InputError(
                    f"{standard}={value} and {name}={own[name]} are two names of one setting: "
                    "give one of them."
                )
        return own | {TYPED: typed}

    def to_dict(self) -> dict[str, Any]:
        """All settings, also by the standard names that tools look for."""
        told: dict[str, Any] = super().to_dict()
        standard = self.attribute_map.items()
        return told | {name: told[own] for name, own in standard if own in told}

    load = staticmethod(load_pretrained)
