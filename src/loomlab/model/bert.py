"""BERT: an encoder that fills in masked tokens.

Shapes: B batch, T tokens, M masked tokens, D width, V vocabulary, C labels.
"""

from typing import Annotated, Any, Literal

from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers.modeling_outputs import MaskedLMOutput
from transformers.utils import can_return_tuple

from loomlab.errors import InputError
from loomlab.model.block import ACTIVATIONS, make_norm
from loomlab.model.classifier import SequenceClassifier
from loomlab.model.config import TransformerConfig
from loomlab.model.tagger import TokenClassifier
from loomlab.model.transformer import Transformer, TransformerModel, loss_options, recorded


class BERTConfig(TransformerConfig):
    """Post-norm encoder Transformer, BERT style."""

    model_type = "loom_bert"
    architecture = "encoder"

    def __init__(
        self,
        norm_order: Literal["pre", "post"] = "post",
        norm_epsilon: Annotated[float, "(0, 1)"] = 1e-12,
        embedding_norm: bool = True,
        activation: Literal["gelu", "gelu_tanh", "relu", "relu2", "silu", "swiglu"] = "gelu",
        head_transform: bool = True,
        *,
        mask_token_id: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.head_transform = head_transform
        self.mask_token_id = mask_token_id
        super().__init__(
            norm_order=norm_order,
            norm_epsilon=norm_epsilon,
            embedding_norm=embedding_norm,
            activation=activation,
            **self.own_names(kwargs),
        )

    def build(self, head: str) -> nn.Module:
        """The model with the head an objective asks for.

        Raises:
            InputError: an encoder has no such `head`.
        """
        kinds = {
            "masked_lm": BERTForMaskedLM,
            "sequence_classification": BERTForSequenceClassification,
            "token_classification": BERTForTokenClassification,
        }
        if head not in kinds:
            raise InputError(
                f"model=bert is an encoder and has no {head} head: choose objective=mlm, "
                "or a decoder such as model=gpt."
            )
        return kinds[head](self)


class BERTModel(Transformer):
    """The trunk of BERT, without a head."""

    config_class = BERTConfig


def at(masked_index: Tensor | None, x_BTD: Tensor) -> Tensor:
    """Rows (M, D) at places in the flattened B * T; all (B, T, D) if none are named."""
    return x_BTD if masked_index is None else x_BTD.flatten(0, 1)[masked_index]


class MaskedLMHead(nn.Module):
    """Hidden states to logits, through one more layer as in BERT (Devlin et al. 2019)."""

    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.has_transform = config.head_transform
        if config.head_transform:
            # A gated activation needs two halves; after one square matrix plain SiLU stands in.
            name = "silu" if config.activation == "swiglu" else config.activation
            self.dense = nn.Linear(config.width, config.width, bias=config.bias)
            self.activation = ACTIVATIONS[name]
            self.norm = make_norm(config)
        self.decoder = nn.Linear(config.width, config.vocab_size, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (..., V) of hidden states (..., D)."""
        if self.has_transform:
            x = self.norm(self.activation(self.dense(x)))
        return self.decoder(x)


class BERTForMaskedLM(TransformerModel):
    """BERT with the head that predicts masked tokens."""

    config_class = BERTConfig
    _tied_weights_keys = {"head.decoder.weight": "transformer.embedding.weight"}

    def __init__(self, config: BERTConfig) -> None:
        super().__init__(config)
        self.transformer = BERTModel(config)
        self.head = MaskedLMHead(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Linear:
        """The layer that gives the logits."""
        return self.head.decoder

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the layer that gives the logits."""
        self.head.decoder = new_embeddings

    def hidden_states(self, masked_index: Tensor | None = None, **inputs: Any) -> Tensor:
        """The hidden states that the head turns into logits: (M, D) at the masks, or (B, T, D)."""
        hidden_BTD: Tensor = self.transformer(**inputs, return_dict=True).last_hidden_state
        return at(masked_index, hidden_BTD)

    def logits_head(self) -> MaskedLMHead:
        """The layers from hidden states to logits."""
        return self.head

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        labels: Tensor | None = None,
        masked_index: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> MaskedLMOutput:
        """The logits of the tokens, (B, T, V), and their loss if `labels` are given.

        Args:
            labels: (B, T); -100 is ignored.
            masked_index: (M,) places in the flattened B * T: logits are (M, V), computed only
                there (and so is the loss), which saves most of the head at a masking of 15 %.
        The other arguments are those of `Transformer.forward`.
        """
        output = self.transformer(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            document_ids=document_ids,
            inputs_embeds=inputs_embeds,
            **recorded(kwargs),
        )
        logits, loss = self.head(at(masked_index, output.last_hidden_state)), None
        if labels is not None:
            target = labels.flatten() if masked_index is None else labels.flatten()[masked_index]
            told = loss_options(kwargs)
            loss = self.loss_function(logits, target, vocab_size=logits.shape[-1], **told)
        return MaskedLMOutput(
            loss=loss,
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class PooledHead(nn.Module):
    """The first token's state to logits through a dense layer and tanh (Devlin et al. 2019)."""

    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.width, len(config.id2label or {}), bias=config.bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Logits (B, C) of hidden states (B, T, D)."""
        return self.out(self.dropout(self.dense(x_BTD[:, 0]).tanh()))


class BERTForSequenceClassification(SequenceClassifier):
    """BERT that says which label a text has, from its first token."""

    config_class = BERTConfig

    def __init__(self, config: BERTConfig) -> None:
        super().__init__(config)
        self.transformer = BERTModel(config)
        self.classifier = PooledHead(config)
        self.post_init()

    def label_logits(
        self, hidden_BTD: Tensor, input_ids: Tensor, attention_mask: Tensor | None
    ) -> Tensor:
        """The logits (B, C) of the first token."""
        return self.classifier(hidden_BTD)


class BERTForTokenClassification(TokenClassifier):
    """BERT that says which label each token has, among those around it."""

    config_class = BERTConfig

    def __init__(self, config: BERTConfig) -> None:
        super().__init__(config)
        self.transformer = BERTModel(config)
        self.make_head()
        self.post_init()


AutoConfig.register(BERTConfig.model_type, BERTConfig)
AutoModel.register(BERTConfig, BERTModel)
AutoModelForMaskedLM.register(BERTConfig, BERTForMaskedLM)
AutoModelForSequenceClassification.register(BERTConfig, BERTForSequenceClassification)
AutoModelForTokenClassification.register(BERTConfig, BERTForTokenClassification)
