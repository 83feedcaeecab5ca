"""One Transformer block: attention and MLP, each around a residual path.

Shapes: B batch, T tokens, D width, H heads, K head width, F hidden width of the MLP.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Cache
from transformers.modeling_layers import GradientCheckpointingLayer

from loomlab.attention.base import Attention
from loomlab.attention.layout import Layout
from loomlab.component import build_component
from loomlab.errors import InputError
from loomlab.model.config import TransformerConfig
from loomlab.model.rebuild import rebuilt
from loomlab.position.base import Position

FULL = {"_target_": "loomlab.attention.full.Full"}


def make_norm(config: TransformerConfig) -> nn.Module:
    """The norm that `config.norm` names, over the width."""
    if config.norm == "rmsnorm":
        return nn.RMSNorm(config.width, eps=config.norm_epsilon)
    return nn.LayerNorm(config.width, eps=config.norm_epsilon, bias=config.bias)


def squared_relu(x: Tensor) -> Tensor:
    """relu(x)^2 (So et al. 2021)."""
    return F.relu(x).square()


def gelu_tanh(x: Tensor) -> Tensor:
    """The tanh approximation of GELU, as in GPT-2."""
    return F.gelu(x, approximate="tanh")


def swiglu(x: Tensor) -> Tensor:
    """silu(gate) * value for the two halves of the last dimension (Shazeer 2020)."""
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": gelu_tanh,
    "relu": F.relu,
    "relu2": squared_relu,
    "silu": F.silu,
    "swiglu": swiglu,
}


class SelfAttention(nn.Module):
    """Projections around the attention that the config names."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.heads = layer, config.heads
        self.head_width = config.width // config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.bias)
        self.out = nn.Linear(config.width, config.width, bias=config.bias)
        self.out.ends_branch = True  # type: ignore[assignment]  # read by the initialization
        self.attention = build_component(config.attention or FULL, Attention)  # type: ignore[type-abstract]
        needed = "causal" if config.architecture == "decoder" else "bidirectional"
        if needed not in self.attention.directions:
            raise InputError(
                f"attention {type(self.attention).__name__} is not {needed}, which a model of "
                f"architecture {config.architecture} needs: choose another attention."
            )

    def forward(
        self,
        x_BTD: Tensor,
        layout: Layout,
        position: Position,
        position_BT: Tensor,
        past_key_values: Cache | None,
    ) -> Tensor:
        """Mix the tokens, (B, T, D), and add their keys and values to the cache, if any."""
        batch, length, _ = x_BTD.shape
        qkv = self.qkv(x_BTD).view(batch, length, 3, self.heads, self.head_width)
        q_BHTK, k_BHTK, v_BHTK = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        q_BHTK, k_BHTK = position.rotate(q_BHTK, k_BHTK, position_BT)
        if past_key_values is not None:
            k_BHTK, v_BHTK = past_key_values.update(k_BHTK, v_BHTK, self.layer)
            filled = layout.key_position_BS.shape[-1]  # of a static cache; all of another
            k_BHTK, v_BHTK = k_BHTK[:, :, :filled], v_BHTK[:, :, :filled]
        mixed_BHTK = self.attention(q_BHTK, k_BHTK, v_BHTK, layout)
        return self.out(mixed_BHTK.transpose(1, 2).reshape(batch, length, -1))


class MLP(nn.Module):
    """Two projections around a non-linearity.

    With swiglu the hidden width is 2/3 of `mlp_ratio` times the width, so that its third matrix
    does not make the model larger (Shazeer 2020).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        gated = config.activation == "swiglu"
        hidden = round(config.mlp_ratio * config.width * (2 / 3 if gated else 1))
        self.up = nn.Linear(config.width, hidden * (2 if gated else 1), bias=config.bias)
        self.out = nn.Linear(hidden, config.width, bias=config.bias)
        self.out.ends_branch = True  # type: ignore[assignment]
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Transform each token alone, (B, T, D)."""
        inner_BTF = self.up(x_BTD)
        active_BTF = self.activation(inner_BTF)
        with rebuilt(active_BTF, self.activation, inner_BTF):
            return self.out(active_BTF)


class Block(GradientCheckpointingLayer):
    """Attention, then MLP; the norm before each (GPT-2) or after each residual sum (BERT)."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.pre_norm = config.norm_order == "pre"
        self.attention_norm = make_norm(config)
        self.attention = SelfAttention(config, layer)
        self.mlp_norm = make_norm(config)
        self.mlp = MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x_BTD: Tensor,
        layout: Layout,
        position: Position,
        position_BT: Tensor,
        past_key_values: Cache | None = None,
    ) -> Tensor:
        """The next hidden states, (B, T, D)."""
        told = (layout, position, position_BT, past_key_values)
        if self.pre_norm:
            normed_BTD = self.attention_norm(x_BTD)
            with rebuilt(normed_BTD, self.attention_norm, x_BTD):
                mixed_BTD = self.attention(normed_BTD, *told)
            x_BTD = x_BTD + self.dropout(mixed_BTD)
            normed_BTD = self.mlp_norm(x_BTD)
            with rebuilt(normed_BTD, self.mlp_norm, x_BTD):
                return x_BTD + self.dropout(self.mlp(normed_BTD))
        sum_BTD = x_BTD + self.dropout(self.attention(x_BTD, *told))
        x_BTD = self.attention_norm(sum_BTD)
        with rebuilt(x_BTD, self.attention_norm, sum_BTD):
            sum_BTD = x_BTD + self.dropout(self.mlp(x_BTD))
        return self.mlp_norm(sum_BTD)
