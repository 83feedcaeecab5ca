"""Modes are put back module by module."""

import pytest
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from loomlab.measure.modes import evaluating, kept_modes, uncached


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


def test_no_cache_is_kept_for_a_while():
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=9))
    for cached in (True, False):
        model.config.use_cache = cached
        with pytest.raises(RuntimeError), uncached(model):  # noqa: PT012
            assert model.config.use_cache is False
            raise RuntimeError
        assert model.config.use_cache is cached
    with uncached(nn.Linear(2, 2)):
        pass
