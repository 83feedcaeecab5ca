"""Models of every kind that compression is to work on, tiny and with random weights."""

from collections.abc import Callable

import pytest
import torch
import transformers
from torch import Tensor, nn

from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig

SIZES = {"vocab_size": 50, "context_length": 12, "pad_token_id": 1, "eos_token_id": 0}
SHAPE = {"layers": 2, "width": 16, "heads": 2}


def t5() -> nn.Module:
    config = transformers.T5Config(
        vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=1,
        decoder_start_token_id=1, dropout_rate=0.0,
    )  # fmt: skip
    return transformers.T5ForConditionalGeneration(config)


def llama() -> nn.Module:
    config = transformers.LlamaConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        vocab_size=50, tie_word_embeddings=True,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


KINDS: dict[str, Callable[[], nn.Module]] = {
    "gpt": lambda: GPTConfig(**SHAPE, **SIZES, tied=True).build("causal_lm"),
    "bert": lambda: BERTConfig(**SHAPE, **SIZES).build("masked_lm"),
    "llama": llama,
    "t5": t5,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a kind of model."""
    return request.param


@pytest.fixture
def batch(kind: str) -> dict[str, Tensor]:
    """Inputs for it, with labels."""
    ids = torch.randint(2, 50, (4, 12), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "labels": ids}


@pytest.fixture
def model(kind: str) -> nn.Module:
    """One of that kind."""
    torch.manual_seed(0)
    return KINDS[kind]().eval()


@pytest.fixture
def is_tied() -> Callable[[nn.Module], bool]:
    """Whether the embedding is also the head's weight."""
    return lambda m: m.get_input_embeddings().weight is m.get_output_embeddings().weight


@pytest.fixture
def loads_again(tmp_path, kind: str, batch: dict[str, Tensor]) -> Callable[[nn.Module], None]:
    """Assert that a model of ours answers to the bit as before once it is saved and loaded."""
    from loomlab.model.saved import load_pretrained

    @torch.no_grad()
    def check(model: nn.Module) -> None:
        if kind not in ("gpt", "bert"):
            return  # one of Transformers is loaded by the run that knows its class
        model.save_pretrained(tmp_path)
        again = load_pretrained(tmp_path, "causal_lm" if kind == "gpt" else "masked_lm")
        assert torch.equal(again(**batch).logits, model(**batch).logits)

    return check
