"""A head computed in chunks has the loss and the gradients of one computed at once."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.objective.chunked import chunked_loss
from loomlab.regularization.label_smoothing import LabelSmoothing
from loomlab.regularization.z_loss import ZLoss

ROWS, WIDTH, CLASSES = 23, 6, 11


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), targets)


def regularized(logits: Tensor, targets: Tensor) -> Tensor:
    return ZLoss(0.1).wrap_loss(LabelSmoothing(0.2).wrap_loss(cross_entropy))(logits, targets)


def problem() -> tuple[Tensor, Tensor, nn.Module]:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, CLASSES))
    rows = torch.randn(ROWS, WIDTH, requires_grad=True)
    return rows, torch.randint(0, CLASSES, (ROWS,)), head


def gradients(loss: Tensor, rows: Tensor, head: nn.Module) -> list[Tensor]:
    (loss * 3).backward()
    return [rows.grad, *(p.grad for p in head.parameters())]


@pytest.mark.parametrize("judge", [cross_entropy, regularized])
@pytest.mark.parametrize("chunk", [1, 5, 23, 100])
def test_loss_and_gradients_are_those_of_all_logits_at_once(judge, chunk: int):
    rows, targets, head = problem()
    whole = judge(head(rows), targets)
    expected = gradients(whole, rows, head)
    rows, targets, head = problem()
    parts = chunked_loss(rows, targets, head, judge, chunk)
    assert parts.item() == pytest.approx(whole.item(), rel=1e-6)
    for ours, theirs in zip(gradients(parts, rows, head), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_frozen_parts_get_no_gradient():
    rows, targets, head = problem()
    head[0].requires_grad_(False)
    chunked_loss(rows, targets, head, cross_entropy, 4).backward()
    assert head[0].weight.grad is None
    assert head[2].weight.grad is not None
    rows, targets, head = problem()
    chunked_loss(rows.detach(), targets, head, cross_entropy, 4).backward()
    assert head[2].weight.grad is not None


def test_a_weight_that_is_tied_elsewhere_collects_both_gradients():
    targets = torch.randint(0, CLASSES, (ROWS,), generator=torch.Generator().manual_seed(1))
    tokens = torch.randint(0, CLASSES, (ROWS,), generator=torch.Generator().manual_seed(2))

    def run(chunk: int) -> Tensor:
        torch.manual_seed(0)
        table = nn.Embedding(CLASSES, WIDTH)
        head = nn.Linear(WIDTH, CLASSES, bias=False)
        head.weight = table.weight
        rows = table(tokens)
        if chunk:
            chunked_loss(rows, targets, head, cross_entropy, chunk).backward()
        else:
            cross_entropy(head(rows), targets).backward()
        return table.weight.grad

    torch.testing.assert_close(run(4), run(0), rtol=1e-4, atol=1e-6)


def test_in_bf16_autocast_it_is_as_close_to_single_as_the_whole():
    rows, targets, head = problem()
    exact = gradients(cross_entropy(head(rows), targets), rows, head)

    def error(chunk: int) -> float:
        rows, targets, head = problem()
        with torch.autocast("cpu", torch.bfloat16):
            if chunk:
                loss = chunked_loss(rows, targets, head, cross_entropy, chunk)
            else:
                loss = cross_entropy(head(rows), targets)
        found = gradients(loss, rows, head)
        return sum(float((a - b).square().sum()) for a, b in zip(found, exact, strict=True))

    assert 0 < error(5) < 2 * error(0)


def test_without_gradients_only_the_loss_is_computed():
    rows, targets, head = problem()
    with torch.no_grad():
        loss = chunked_loss(rows, targets, head, cross_entropy, 5)
    assert not loss.requires_grad
    assert loss.item() == pytest.approx(cross_entropy(head(rows), targets).item(), rel=1e-6)
