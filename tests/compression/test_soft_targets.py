"""Distances between answers: as the papers write them, whole or of the likeliest classes."""

import pytest
import torch
import torch.nn.functional as F

from loomlab.compression.soft_targets import (
    divergence,
    divergence_from_largest,
    label_divergence,
    largest,
)

DRAW = torch.Generator().manual_seed(0)
STUDENT, TEACHER = (3 * torch.randn(6, 11, generator=DRAW) for _ in range(2))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_divergence_is_that_of_the_paper(temperature: float):
    p, q = (TEACHER / temperature).softmax(-1), (STUDENT / temperature).softmax(-1)
    expected = (p * (p / q).log()).sum(-1).mean() * temperature**2
    torch.testing.assert_close(divergence(STUDENT, TEACHER, temperature), expected)
    assert divergence(TEACHER, TEACHER, temperature).item() == pytest.approx(0.0, abs=1e-6)


def test_several_labels_are_choices_of_their_own():
    pairs = [torch.stack([x, torch.zeros_like(x)], -1).flatten(0, 1) for x in (STUDENT, TEACHER)]
    expected = divergence(*pairs, temperature=2.0)
    torch.testing.assert_close(label_divergence(STUDENT, TEACHER, 2.0), expected)


@pytest.mark.parametrize("classes", [2, 11])
def test_all_classes_but_one_kept_tell_all(classes: int):
    student, teacher = STUDENT[:, :classes].clone().requires_grad_(), TEACHER[:, :classes]
    ids, log_p = largest(teacher, 2.0, classes + 5)
    assert ids.shape[1] == classes - 1
    some = divergence_from_largest(student, ids, log_p, 2.0)
    whole = divergence(student, teacher, 2.0)
    torch.testing.assert_close(some, whole, atol=5e-3, rtol=5e-3)
    one, other = (torch.autograd.grad(loss, student)[0] for loss in (some, whole))
    torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-2)


def test_the_rest_counts_as_one_class():
    ids, log_p = largest(TEACHER, 2.0, 3)
    assert log_p.dtype == torch.float16
    assert torch.equal(ids.long(), TEACHER.topk(3).indices)
    p, q = (TEACHER / 2).softmax(-1), (STUDENT / 2).softmax(-1)
    p3, q3 = p.gather(1, ids.long()), q.gather(1, ids.long())
    p4, q4 = (torch.cat([x, 1 - x.sum(-1, keepdim=True)], -1) for x in (p3, q3))
    some = divergence_from_largest(STUDENT, ids, log_p, 2.0)
    expected = 4 * F.kl_div(q4.log(), p4, reduction="batchmean")
    torch.testing.assert_close(some, expected, atol=5e-3, rtol=5e-3)
    assert some < divergence(STUDENT, TEACHER, 2.0)


def test_a_sure_teacher_and_a_sure_student_give_finite_gradients():
    student = (1000 * TEACHER).requires_grad_()
    ids, log_p = largest(1000 * TEACHER, 1.0, 3)
    divergence_from_largest(student, ids, log_p, 1.0).backward()
    assert student.grad.isfinite().all()
