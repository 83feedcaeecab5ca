"""Full attention equals a hand-written softmax, whatever the layout asks."""

import pytest
import torch

from loomlab.attention.full import Full
from loomlab.attention.layout import Layout


def reference(q, k, v, allowed, bias=0.0):
    """Attention written out: (B, H, T, S) scores, their softmax, the mean of the values."""
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1) @ v


def heads(length, batch=2):
    return torch.randn(3, batch, 2, length, 4).unbind(0)


def places(length):
    return torch.arange(length)[None]


def test_causal_equals_the_written_out_softmax():
    q, k, v = heads(6)
    layout = Layout(True, places(6), places(6))
    expected = reference(q, k, v, torch.ones(6, 6).tril().bool())
    torch.testing.assert_close(Full()(q, k, v, layout), expected)


def test_no_mask_is_built_where_none_is_needed():
    assert Layout(True, places(6), places(6)).mask(torch.float32) is None
    assert Layout(False, places(6), places(6)).mask(torch.float32) is None
    assert Layout(True, places(6)[:, 5:], places(6)).mask(torch.float32) is None


def test_a_mask_is_built_once_per_pass():
    layout = Layout(True, places(6), places(6), keep_BS=torch.ones(2, 6).bool())
    assert layout.mask(torch.float32) is layout.mask(torch.float32)


@pytest.mark.parametrize("causal", [True, False])
def test_padding_documents_and_bias_together(causal):
    q, k, v = heads(6)
    keep = torch.tensor([[0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]).bool()
    documents = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 2, 2]])
    bias = torch.randn(1, 2, 6, 6)
    layout = Layout(
        causal, places(6), places(6), keep, documents, documents, bias=lambda query, key: bias
    )
    same = documents[:, :, None] == documents[:, None, :]
    allowed = same & keep[:, None, :]
    if causal:
        allowed = allowed & torch.ones(6, 6).tril().bool()
    allowed = (allowed | torch.eye(6).bool())[:, None]
    expected = reference(q, k, v, allowed, bias)
    torch.testing.assert_close(Full()(q, k, v, layout), expected)


def test_new_queries_see_the_cached_keys():
    q, k, v = heads(6)
    layout = Layout(True, places(6)[:, 4:], places(6))
    expected = Full()(q, k, v, Layout(True, places(6), places(6)))[:, :, 4:]
    torch.testing.assert_close(Full()(q[:, :, 4:], k, v, layout), expected)


def test_padding_queries_stay_finite():
    q, k, v = heads(4)
    keep = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]]).bool()
    out = Full()(q, k, v, Layout(True, places(4), places(4), keep))
    assert out.isfinite().all()
