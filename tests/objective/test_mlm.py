"""Masked language modelling: 15 % of each window, the loss on those positions alone."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from loomlab.errors import InputError
from loomlab.objective.mlm import MaskedLM
from loomlab.tokenizer.base import word_starts, wrap

Make = Callable[..., Any]


def test_collate_masks_a_fixed_share(objective: Make, samples: Make):
    given = samples(5)
    batch = objective(MaskedLM).collate(given)
    count = 5 * round(0.15 * 24)
    assert batch["input_ids"].shape == (5, 24)
    assert batch["masked_index"].shape == batch["targets"].shape == (count,)
    originals = given.tokens_BU[:, :-1].flatten()
    assert torch.equal(batch["targets"], originals[batch["masked_index"]])
    untouched = torch.ones(5 * 24, dtype=torch.bool)
    untouched[batch["masked_index"]] = False
    assert torch.equal(batch["input_ids"].flatten()[untouched], originals[untouched])


@pytest.mark.parametrize(("rate", "count"), [(0.15, 4), (0.4, 10), (0.01, 1)])
def test_rate_sets_the_count(objective: Make, samples: Make, rate: float, count: int):
    batch = objective(MaskedLM, mask_rate=rate).collate(samples(3))
    assert torch.bincount(batch["masked_index"] // 24, minlength=3).tolist() == [count] * 3


def test_masked_only_logits_equal_the_full_ones(objective: Make, samples: Make):
    mlm = objective(MaskedLM)
    batch = mlm.collate(samples())
    logits, targets = mlm.predict(batch)
    full = mlm.model(input_ids=batch["input_ids"]).logits
    assert full.shape == (4, 24, 260)
    assert logits.shape == (len(targets), 260)
    assert torch.allclose(logits, full.flatten(0, 1)[batch["masked_index"]], atol=1e-5)


def test_loss_counts_masked_positions_only(objective: Make, samples: Make):
    mlm = objective(MaskedLM)
    batch = mlm.collate(samples())
    labels = torch.full((4 * 24,), -100)
    labels[batch["masked_index"]] = batch["targets"]
    logits = mlm.model(input_ids=batch["input_ids"]).logits
    by_hand = F.cross_entropy(logits.flatten(0, 1), labels, ignore_index=-100)
    hugging_face = mlm.model(input_ids=batch["input_ids"], labels=labels.view(4, 24)).loss
    ours = mlm.training_step(batch, 0)
    assert ours.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert ours.item() == pytest.approx(hugging_face.item(), rel=1e-5)


def test_a_model_that_scores_every_position_gives_the_same_loss(objective: Make, samples: Make):
    mlm = objective(MaskedLM)
    batch = mlm.collate(samples())
    ours = mlm.training_step(batch, 0)
    mlm._accepted.discard("masked_index")
    assert mlm.training_step(batch, 0).item() == pytest.approx(ours.item(), rel=1e-5)


def test_masks_follow_seed_epoch_and_sample(objective: Make, samples: Make):
    mlm = objective(MaskedLM)
    same = [mlm.collate(samples())["input_ids"] for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], mlm.collate(samples(epoch=1))["input_ids"])
    assert not torch.equal(same[0], objective(MaskedLM, seed=2).collate(samples())["input_ids"])
    part = mlm.collate(samples(2, first=2))["input_ids"]
    assert torch.equal(part, same[0][2:]), "a row's masks do not depend on its batch"


def test_special_tokens_are_never_to_be_predicted(objective: Make, samples: Make):
    given = samples()
    given.tokens_BU[:, ::3] = 256  # the end of a document
    batch = objective(MaskedLM, mask_rate=0.9).collate(given)
    assert (batch["targets"] < 256).all()
    assert (batch["input_ids"][:, ::3] == 256).all()


def test_micro_batches_average_to_the_whole_batch(objective: Make, samples: Make):
    """Loss and gradients, also where rows hold different numbers of special tokens."""
    mlm = objective(MaskedLM)
    whole, parts = samples(4), [samples(2), samples(2, first=2)]
    for given, rows in ((whole, 2), (parts[0], 2)):
        given.tokens_BU[:rows, :8] = 256
    loss = mlm.training_step(mlm.collate(whole), 0)
    halves = [mlm.training_step(mlm.collate(part), 0) for part in parts]
    assert loss.item() == pytest.approx(sum(h.item() for h in halves) / 2, rel=1e-6)
    weight = mlm.model.transformer.embedding.weight
    (full,) = torch.autograd.grad(loss, weight)
    split = sum(torch.autograd.grad(half, weight)[0] for half in halves) / 2
    assert torch.allclose(full, split, atol=1e-7)


def test_whole_words_are_masked_together(objective: Make, samples: Make, tokenizer: Any):
    mlm = objective(MaskedLM, whole_word=True, replace_by_mask=1.0, replace_by_random=0.0)
    given = samples(40)
    given.tokens_BU[:] = torch.tensor(list(b"to be or not to be that is"[:25]))
    batch = mlm.collate(given)
    masked = torch.zeros(40 * 24, dtype=torch.bool)
    masked[batch["masked_index"]] = True
    masked = masked.view(40, 24)
    begins = torch.from_numpy(word_starts(tokenizer))[given.tokens_BU[0, :-1]]
    begins[0] = True
    for start, end in pairwise(begins.nonzero().flatten().tolist()):
        word = masked[:, start:end]
        assert torch.equal(word.all(1), word.any(1))
    assert (masked.sum(1) >= 1).all()


def test_sample_fills_masks_and_masks_a_word_itself(objective: Make):
    mlm = objective(MaskedLM)
    assert "[MASK]" not in mlm.sample("a [MASK] c", 5)
    assert mlm.sample("one two", 5).startswith("one ")


def test_a_tokenizer_without_a_mask_is_refused(tokenizer: Any):
    maskless = wrap(tokenizer.backend_tokenizer, eos_token="<|endoftext|>")
    with pytest.raises(InputError, match=r"needs a mask token.*tokenizer\.mask_token"):
        MaskedLM(
            model=torch.nn.Linear(1, 1),
            tokenizer=maskless,
            optimizer=None,
            scheduler=None,
            context=None,
            seed=1,
        )


def test_parts_of_a_batch_have_the_masks_of_their_rows(objective: Make, samples: Make):
    mlm = objective(MaskedLM)
    batch = mlm.collate(samples(documents=True))
    parts = mlm.parts(batch, 2)
    assert [part["input_ids"].shape for part in parts] == [(2, 24)] * 2
    logits, targets = mlm.predict(batch)
    answers = [mlm.predict(part) for part in parts]
    assert torch.equal(torch.cat([given for _, given in answers]), targets)
    assert torch.allclose(torch.cat([given for given, _ in answers]), logits, atol=1e-5)
