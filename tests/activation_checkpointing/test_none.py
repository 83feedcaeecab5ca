"""Nothing is computed twice."""

from loomlab.activation_checkpointing.none import NoCheckpointing
from loomlab.compose.gate import check
from loomlab.model.gpt import GPTConfig


def test_it_is_the_default():
    config = check(["logger=none"]).configs[0]
    assert config.activation_checkpointing["_target_"].endswith(".NoCheckpointing")


def test_no_block_is_changed():
    model = GPTConfig(vocab_size=11, width=8, layers=2, heads=2, context_length=4).build(
        "causal_lm"
    )
    NoCheckpointing().apply(model.train())
    assert not model.is_activation_checkpointing
