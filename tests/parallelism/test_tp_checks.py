"""Switches of tensor parallelism that cannot be honoured are refused when a run is composed."""

import pytest

from loomlab.compose.gate import check

TOKENS = ["parallelism=tp", "parallelism.sequence_parallel=true", "model.heads=2"]
TP = ["parallelism=tp", "parallelism.loss_parallel=true"]


@pytest.mark.parametrize("term", ["label_smoothing", "z_loss"])
def test_a_term_of_the_loss_over_all_logits_is_refused(term: str):
    message = check([*TP, f"regularization=[{term}]"], False).message()
    assert f"{term} reads the logits of all tokens" in message
    assert not check(["parallelism=tp", f"regularization=[{term}]"], False).problems


@pytest.mark.parametrize("name", ["classification", "regression", "token_classification"])
def test_a_head_of_labels_is_refused(name: str):
    message = check([*TP, f"objective={name}"], False).message()
    assert f"objective={name} has a head of few labels" in message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["sequence_length=15"], "sequence_length=15 cannot be shared by 2 processes"),
        (["compression=[lora]"], "adapters (lora) read hidden states of all tokens"),
        (["objective=regression"], "rows of objective=regression have lengths of their own"),
    ],
)
def test_tokens_that_cannot_be_shared_out_are_refused(more: list[str], said: str):
    assert not check(TOKENS, False).problems
    assert said in check([*TOKENS, *more], False).message()


@pytest.mark.parametrize(("devices", "heads", "fit"), [(4, 6, "2, 3, 6"), (2, 1, "the divisors")])
def test_heads_that_cannot_be_shared_out_are_refused(devices: int, heads: int, fit: str):
    given = ["parallelism=tp", "model.width=12", f"parallelism.devices={devices}"]
    said = f"devices: {devices} does not divide model.heads={heads}; give one of {fit}"
    assert said in check([*given, f"model.heads={heads}"], False).message()
