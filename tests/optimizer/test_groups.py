"""Parameter groups: what decays, what does not, and that nothing is taken twice."""

import pytest
import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.groups import can_fuse, check_betas, decay_groups, trainable


class Tied(nn.Module):
    """An embedding shared with the head, a hidden layer and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.hidden = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.table.weight

    def get_output_embeddings(self) -> nn.Module:
        return self.head


def _ids(group):
    return [id(p) for p in group["params"]]


def test_only_hidden_matrices_decay_and_a_tied_table_appears_once():
    model = Tied()
    decayed, kept = decay_groups(model, 0.3)
    assert _ids(decayed) == [id(model.hidden.weight)]
    assert decayed["weight_decay"] == 0.3
    expected = [model.table.weight, model.hidden.bias, model.norm.weight, model.norm.bias]
    assert sorted(_ids(kept)) == sorted(id(p) for p in expected)
    assert kept["weight_decay"] == 0.0


def test_an_untied_head_decays():
    model = Tied()
    model.head.weight = nn.Parameter(torch.zeros(7, 4))
    decayed, _ = decay_groups(model, 0.1)
    assert id(model.head.weight) in _ids(decayed)


def test_frozen_and_excluded_parameters_are_left_out_and_empty_groups_dropped():
    model = Tied()
    model.norm.requires_grad_(False)
    model.table.requires_grad_(False)
    groups = decay_groups(model, 0.1, without=[model.hidden.weight])
    assert [_ids(g) for g in groups] == [[id(model.hidden.bias)]]


def test_a_model_without_trainable_parameters_is_refused():
    with pytest.raises(InputError, match="no trainable parameter"):
        trainable(nn.Linear(2, 2).requires_grad_(False))


@pytest.mark.parametrize("betas", [[0.9], [0.9, 1.0], [-0.1, 0.9], [0.9, float("nan")]])
def test_betas_out_of_range_are_refused_by_name(betas):
    with pytest.raises(InputError, match=r"optimizer\.betas"):
        check_betas(betas, "optimizer.betas")


def test_fused_kernels_exist_on_cpu_but_not_on_the_meta_device():
    assert can_fuse([torch.zeros(1)])
    assert not can_fuse([torch.zeros(1), torch.zeros(1, device="meta")])
