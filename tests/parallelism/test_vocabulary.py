"""The loss of shared-out logits is the loss; processes that hold them are in test_tp."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from loomlab.measure.scores import Scores
from loomlab.model.gpt import GPTConfig
from loomlab.objective.cross_entropy import cross_entropy
from loomlab.parallelism.split import cut_of
from loomlab.parallelism.vocabulary import Vocabulary, share_vocabulary


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A group of this process alone."""
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_loss_gradient_and_scores_are_those_of_all_logits(group: None):
    logits = (3 * torch.randn(6, 9)).requires_grad_()
    logits.data[2, 3] = logits.data[2, 5] = 20.0  # of equal logits the first is the guess
    targets, table = torch.tensor([0, 8, 3, 4, 7, 1]), torch.arange(9.0)
    scores, usual = Scores(table), Scores(table)
    loss = Vocabulary(0, None).judged(logits, targets, scores)
    (gradient,) = torch.autograd.grad(loss, logits)
    expected = cross_entropy(logits, targets)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0])
    usual.add(logits, targets)
    torch.testing.assert_close(scores.sums, usual.sums, atol=1e-5, rtol=1e-6)
    assert scores.sums[2] == usual.sums[2]


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_embedding_is_shared_out_with_the_head(group: None, tied: bool):
    sizes = {"layers": 1, "width": 8, "heads": 2, "vocab_size": 7, "context_length": 8}
    model = GPTConfig(tied=tied, **sizes).build("causal_lm")
    ids = torch.tensor([[0, 3, 6]])
    expected = model(input_ids=ids).logits
    share_vocabulary(model)
    torch.testing.assert_close(model(input_ids=ids).logits, expected)
    head, table = model.lm_head.weight, model.transformer.embedding
    assert cut_of(head) is not None
    assert (table.weight is head) == tied
    assert isinstance(table, torch.nn.Embedding), "so that its weights do not decay"
