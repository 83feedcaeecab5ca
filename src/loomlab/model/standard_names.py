"""What Transformers' GPT-2, GPT-NeoX, Llama, Mistral and BERT call the layers that ours have.

Each is written down once and read both ways: ours are saved under their names, and theirs loaded
under ours. Shapes: H heads, K head width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

OURS = "transformer."  # what names of our trunks begin with
POSITIONS = f"{OURS}position.table"
Turn = Callable[["Tensor", int], "Tensor"]


@dataclass(frozen=True)
class Order:
    """How rows of ours, of H heads, become rows of theirs, and back."""

    there: Turn
    back: Turn


SAME = Order(lambda rows, heads: rows, lambda rows, heads: rows)
TRANSPOSED = Order(lambda rows, heads: rows.t(), lambda rows, heads: rows.t())  # biases stay
BY_HEAD = Order(  # (3, H, K) and (H, 3, K)
    lambda rows, heads: rows.unflatten(0, (3, heads, -1)).transpose(0, 1).flatten(0, 2),
    lambda rows, heads: rows.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2),
)


@dataclass(frozen=True)
class Pair:
    """A layer of ours and the one of theirs, or those among which its rows are shared out."""

    ours: str
    theirs: tuple[str, ...]
    order: Order = SAME
    by_group: bool = False  # of query, key and value the last two may serve several heads each


def _pair(ours: str, *theirs: str, order: Order = SAME, by_group: bool = False) -> Pair:
    return Pair(ours, theirs, order, by_group)


@dataclass(frozen=True)
class Head:
    """A class of theirs with a head of ours; what it knows of labels belongs to that class."""

    kind: str
    pairs: tuple[Pair, ...]
    labels: bool = True


@dataclass(frozen=True)
class Names:
    """The names of one kind of model.

    trunk: what those of its trunk begin with; block: those inside, with the number of a block;
    outside, inside: layers around the blocks and in each; heads: by the name of our class;
    first_row: a table whose first row every position of theirs is given besides its own.
    """

    trunk: str
    block: str
    outside: tuple[Pair, ...]
    inside: tuple[Pair, ...]
    heads: dict[str, Head]
    first_row: str = ""

    def pairs(self, layers: int, kind: str) -> Iterator[Pair]:
        """All pairs of a model of so many blocks, of our class `kind`, by their whole names.

        Of another class the trunk alone.
        """
        for pair in self.outside:
            yield _within(pair, OURS, self.trunk)
        for number in range(layers):
            for pair in self.inside:
                block = self.trunk + self.block.format(number)
                yield _within(pair, f"{OURS}layers.{number}.", block)
        if kind in self.heads:
            yield from self.heads[kind].pairs


def _within(pair: Pair, ours: str, theirs: str) -> Pair:
    names = tuple(theirs + name for name in pair.theirs)
    return Pair(ours + pair.ours, names, pair.order, pair.by_group)


def _decoder_heads(name: str, labels_of_tokens: str) -> dict[str, Head]:
    language = "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM"
    return {
        "GPTForCausalLM": Head(language, (_pair("lm_head", "lm_head"),), labels=False),
        "GPTForSequenceClassification": Head(
            f"{name}ForSequenceClassification", (_pair("score", "score"),)
        ),
        "GPTForTokenClassification": Head(
            f"{name}ForTokenClassification", (_pair("score", labels_of_tokens),)
        ),
    }


def _of_llama(name: str) -> Names:
    """Three matrices where our attention has one, and two where our MLP has one."""
    return Names(
        trunk="model.",
        block="layers.{}.",
        outside=(_pair("embedding", "embed_tokens"), _pair("norm", "norm")),
        inside=(
            _pair("attention_norm", "input_layernorm"),
            _pair("mlp_norm", "post_attention_layernorm"),
            _pair("attention.qkv", *(f"self_attn.{part}_proj" for part in "qkv"), by_group=True),
            _pair("attention.out", "self_attn.o_proj"),
            _pair("mlp.up", "mlp.gate_proj", "mlp.up_proj"),
            _pair("mlp.out", "mlp.down_proj"),
        ),
        heads=_decoder_heads(name, "score"),
    )


GPT2 = Names(
    trunk="transformer.",
    block="h.{}.",
    outside=(_pair("embedding", "wte"), _pair("position.table", "wpe"), _pair("norm", "ln_f")),
    inside=(
        _pair("attention_norm", "ln_1"),
        _pair("mlp_norm", "ln_2"),
        _pair("attention.qkv", "attn.c_attn", order=TRANSPOSED),
        _pair("attention.out", "attn.c_proj", order=TRANSPOSED),
        _pair("mlp.up", "mlp.c_fc", order=TRANSPOSED),
        _pair("mlp.out", "mlp.c_proj", order=TRANSPOSED),
    ),
    heads=_decoder_heads("GPT2", "classifier"),
)
GPT_NEOX = Names(
    trunk="gpt_neox.",
    block="layers.{}.",
    outside=(_pair("embedding", "embed_in"), _pair("norm", "final_layer_norm")),
    inside=(
        _pair("attention_norm", "input_layernorm"),
        _pair("mlp_norm", "post_attention_layernorm"),
        _pair("attention.qkv", "attention.query_key_value", order=BY_HEAD),
        _pair("attention.out", "attention.dense"),
        _pair("mlp.up", "mlp.dense_h_to_4h"),
        _pair("mlp.out", "mlp.dense_4h_to_h"),
    ),
    heads=_decoder_heads("GPTNeoX", "classifier"),
)
LLAMA = _of_llama("Llama")
MISTRAL = _of_llama("Mistral")
BERT = Names(
    trunk="bert.",
    block="encoder.layer.{}.",
    outside=(
        _pair("embedding", "embeddings.word_embeddings"),
        _pair("position.table", "embeddings.position_embeddings"),
        _pair("embedding_norm", "embeddings.LayerNorm"),
    ),
    inside=(
        _pair(
            "attention.qkv",
            *(f"attention.self.{part}" for part in ("query", "key", "value")),
        ),
        _pair("attention.out", "attention.output.dense"),
        _pair("attention_norm", "attention.output.LayerNorm"),
        _pair("mlp.up", "intermediate.dense"),
        _pair("mlp.out", "output.dense"),
        _pair("mlp_norm", "output.LayerNorm"),
    ),
    heads={
        "BERTForMaskedLM": Head(
            "BertForMaskedLM",
            (
                _pair("head.dense", "cls.predictions.transform.dense"),
                _pair("head.norm", "cls.predictions.transform.LayerNorm"),
                _pair("head.decoder", "cls.predictions.decoder"),
            ),
            labels=False,
        ),
        "BERTForSequenceClassification": Head(
            "BertForSequenceClassification",
            (
                _pair("classifier.dense", "bert.pooler.dense"),
                _pair("classifier.out", "classifier"),
            ),
        ),
        "BERTForTokenClassification": Head(
            "BertForTokenClassification", (_pair("score", "classifier"),)
        ),
    },
    first_row="embeddings.token_type_embeddings",
)
BY_TYPE = {"gpt2": GPT2, "gpt_neox": GPT_NEOX, "llama": LLAMA, "mistral": MISTRAL, "bert": BERT}
