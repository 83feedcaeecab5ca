"""Causal language modelling: every position predicts the next token, as Transformers has it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from loomlab.objective.clm import CausalLM

Make = Callable[..., Any]


def test_collate_shifts_by_one(objective: Make, samples: Make):
    batch = objective(CausalLM).collate(samples(3))
    assert set(batch) == {"input_ids", "targets"}
    assert batch["input_ids"].shape == batch["targets"].shape == (3, 24)
    assert torch.equal(batch["input_ids"][:, 1:], batch["targets"][:, :-1])
    assert all(part.is_contiguous() and part.dtype == torch.int64 for part in batch.values())


def test_documents_come_along(objective: Make, samples: Make):
    clm = objective(CausalLM)
    given = samples(documents=True)
    batch = clm.collate(given)
    assert torch.equal(batch["document_ids"], given.document_BU[:, :-1])
    without = clm.collate(samples())
    apart = clm.predict(batch)[0] - clm.predict(without)[0]
    assert apart.unflatten(0, (4, 24))[:, :10].abs().max() < 1e-5
    assert apart.unflatten(0, (4, 24))[:, 10:].abs().max() > 1e-3, "document ids reach the model"


def test_loss_is_the_cross_entropy_written_out(objective: Make, samples: Make):
    clm = objective(CausalLM)
    batch = clm.collate(samples())
    logits, targets = clm.predict(batch)
    assert logits.shape == (4 * 24, 260)
    chosen = logits.double().log_softmax(-1)[torch.arange(len(targets)), targets]
    loss = clm.training_step(batch, 0)
    assert loss.item() == pytest.approx(-chosen.mean().item(), rel=1e-5)


def test_loss_equals_the_models_own_with_labels(objective: Make, samples: Make):
    """HF shifts inside: labels are the whole windows of T + 1 tokens."""
    clm = objective(CausalLM)
    given = samples()
    window = given.tokens_BU[:, :24]
    logits, _ = clm.predict(clm.collate(given))
    own = clm.model(input_ids=window, labels=window).loss
    ours = F.cross_entropy(logits.unflatten(0, (4, 24))[:, :-1].flatten(0, 1),
                           window[:, 1:].flatten())  # fmt: skip
    assert own.item() == pytest.approx(ours.item(), rel=1e-5)


def test_loss_of_a_transformers_model_is_its_own_loss(objective: Make, samples: Make):
    clm = objective(CausalLM)
    config = GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=260, n_positions=32)
    theirs = GPT2LMHeadModel(config).eval()
    clm.model = theirs
    given = samples()
    ours = clm.training_step(clm.collate(given), 0)
    own = theirs(input_ids=given.tokens_BU, labels=given.tokens_BU).loss
    assert ours.item() == pytest.approx(own.item(), rel=1e-5)


def test_later_tokens_change_no_earlier_prediction(objective: Make, samples: Make):
    clm = objective(CausalLM)
    given = samples()
    first = clm.predict(clm.collate(given))[0].unflatten(0, (4, 24))
    given.tokens_BU[:, 12:] = 7
    second = clm.predict(clm.collate(given))[0].unflatten(0, (4, 24))
    assert torch.equal(first[:, :12], second[:, :12])
    assert not torch.allclose(first[:, 12:], second[:, 12:])


def test_sample_continues_the_prompt(objective: Make):
    clm = objective(CausalLM)
    torch.manual_seed(0)
    text = clm.sample("It was", 8)
    assert text.startswith("It was")
    assert len(text) > len("It was")
