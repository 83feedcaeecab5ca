"""How far a student's answers are from a teacher's."""

# Shapes: M rows, V classes, K classes that are kept of a teacher's answer.

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def divergence(student_MV: Tensor, teacher_MV: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(teacher || student) of softmax(logits / T), the mean over rows, in nats.

    Hinton et al. 2015, arXiv 1503.02531, section 2: the factor keeps the size of gradients.
    """
    log_q_MV = log_probabilities(student_MV, temperature)
    log_p_MV = log_probabilities(teacher_MV, temperature)
    distance = F.kl_div(log_q_MV, log_p_MV, reduction="batchmean", log_target=True)
    return distance * temperature**2


def label_divergence(student_MC: Tensor, teacher_MC: Tensor, temperature: float) -> Tensor:
    """The same where a text may have several labels: each is a choice of its own, yes or no."""
    student_MC, teacher_MC = student_MC.float() / temperature, teacher_MC.float() / temperature
    p_MC = teacher_MC.sigmoid()
    cross = F.binary_cross_entropy_with_logits(student_MC, p_MC)
    return (cross - F.binary_cross_entropy_with_logits(teacher_MC, p_MC)) * temperature**2


def log_probabilities(logits_MV: Tensor, temperature: float) -> Tensor:
    """log softmax(logits / T) in 32-bit floats."""
    return torch.log_softmax(logits_MV.float() / temperature, -1)


def largest(logits_MV: Tensor, temperature: float, count: int) -> tuple[Tensor, Tensor]:
    """The likeliest classes (M, K), int32, and log-probabilities (M, K + 1), the last of the rest.

    In 16-bit floats: kept on disk, they are most of what there is. At least one class is rest.
    """
    log_p_MV = log_probabilities(logits_MV, temperature)
    count = min(count, log_p_MV.shape[-1] - 1)
    top_MK, ids_MK = log_p_MV.topk(count, -1)
    rest_M1 = log_p_MV.scatter(1, ids_MK, -torch.inf).logsumexp(-1, keepdim=True)
    return ids_MK.int(), torch.cat([top_MK, rest_M1], -1).clamp(min=-60000.0).half()


def divergence_from_largest(
    student_MV: Tensor, ids_MK: Tensor, log_p_MK: Tensor, temperature: float
) -> Tensor:
    """`divergence` where all but the likeliest classes of the teacher count as one.

    It is at most the whole divergence: classes of the rest are not told apart.
    """
    log_q_MV, ids_MK = log_probabilities(student_MV, temperature), ids_MK.long()
    rest_M1 = log_q_MV.scatter(1, ids_MK, -torch.inf).logsumexp(-1, keepdim=True)
    log_q_MK = torch.cat([log_q_MV.gather(1, ids_MK), rest_M1], -1)
    log_p_MK = torch.log_softmax(log_p_MK.float(), -1)  # they were rounded, and sum to 1 again
    distance = F.kl_div(log_q_MK, log_p_MK, reduction="batchmean", log_target=True)
    return distance * temperature**2
