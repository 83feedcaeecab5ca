"""Modes are put back module by module."""

import pytest
from torch import nn

from loomlab.measure.modes import evaluating, kept_modes


def test_each_module_has_its_own_mode_back_also_after_an_error():
    model = nn.Sequential(nn.Dropout(), nn.Dropout()).eval()
    model[1].train()

    def fail() -> None:
        with kept_modes(model):
            model.train()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [m.training for m in model.modules()] == [False, False, True]


def test_all_is_evaluated_for_a_while():
    model = nn.Sequential(nn.Dropout(), nn.Dropout()).eval()
    model[1].train()
    with evaluating(model):
        assert [m.training for m in model.modules()] == [False, False, False]
    assert [m.training for m in model.modules()] == [False, False, True]
