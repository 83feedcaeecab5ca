"""Attention in blocks equals dense attention under the same window, in value and gradient."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from loomlab.attention.full import Full
from loomlab.attention.layout import Layout
from loomlab.attention.sliding_window import SlidingWindow
from loomlab.position.alibi import ALiBi

BATCH, HEADS, WIDTH = 2, 4, 8


def heads(length):
    return [torch.randn(BATCH, HEADS, length, WIDTH, requires_grad=True) for _ in range(3)]


def random_layout(length, causal, padding, documents, bias):
    place = torch.arange(length)[None]
    keep = ids = None
    if padding:
        keep = torch.rand(BATCH, length) > 0.3
    if documents:
        ids = (torch.rand(BATCH, length) > 0.9).long().cumsum(-1)
    alibi = ALiBi(width=HEADS * WIDTH, heads=HEADS, context_length=length)
    return Layout(causal, place, place, keep, ids, ids, alibi.bias if bias else None)


def dense(q, k, v, layout, window):
    """The definition: a mask over all pairs, given to one softmax."""
    query, key = layout.query_position_BT, layout.key_position_BS
    documents = layout.document_query_BT, layout.document_key_BS
    allowed = layout.allowed(query, key, layout.keep_BS, *documents)
    gap = query[:, :, None] - key[:, None, :]
    near = (gap < window) if layout.causal else (gap.abs() <= window // 2)
    mask = layout.additive(allowed & near, query, key, q.dtype)
    return F.scaled_dot_product_attention(q, k, v, mask)


def with_gradients(attend, inputs, weights):
    out = attend(*inputs)
    return out, *torch.autograd.grad((out * weights).sum(), inputs)


@pytest.mark.parametrize(
    ("causal", "padding", "documents", "bias"), list(itertools.product([True, False], repeat=4))
)
@pytest.mark.parametrize(("length", "window"), [(61, 7), (100, 20), (64, 32), (130, 33)])
def test_blocks_equal_the_dense_definition(length, window, causal, padding, documents, bias):
    torch.manual_seed(length + window)
    inputs, weights = heads(length), torch.randn(BATCH, HEADS, length, WIDTH)
    layout = random_layout(length, causal, padding, documents, bias)
    blocked = with_gradients(lambda *x: SlidingWindow(window)(*x, layout), inputs, weights)
    expected = with_gradients(lambda *x: dense(*x, layout, window), inputs, weights)
    for ours, theirs in zip(blocked, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize(("causal", "window"), [(True, 24), (True, 99), (False, 48), (False, 99)])
def test_a_window_over_everything_equals_full(causal, window, padding):
    torch.manual_seed(0)
    inputs, weights = heads(24), torch.randn(BATCH, HEADS, 24, WIDTH)
    layout = random_layout(24, causal, padding, False, False)
    window_out = with_gradients(lambda *x: SlidingWindow(window)(*x, layout), inputs, weights)
    full_out = with_gradients(lambda *x: Full()(*x, layout), inputs, weights)
    for ours, theirs in zip(window_out, full_out, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_window_of_one_returns_the_values():
    q, k, v = heads(40)
    layout = random_layout(40, True, False, False, False)
    torch.testing.assert_close(SlidingWindow(1)(q, k, v, layout), v)


@pytest.mark.parametrize("new", [1, 3])
def test_queries_on_a_cache_see_the_same_window(new):
    torch.manual_seed(0)
    q, k, v = heads(50)
    place = torch.arange(50)[None]
    whole = SlidingWindow(9)(q, k, v, Layout(True, place, place))
    last = SlidingWindow(9)(q[:, :, -new:], k, v, Layout(True, place[:, -new:], place))
    torch.testing.assert_close(last, whole[:, :, -new:])


def test_the_mask_of_blocks_grows_linearly():
    sizes = []
    for length in (256, 512):
        q, k, v = heads(length)
        layout = random_layout(length, True, False, True, False)
        SlidingWindow(32)(q, k, v, layout)
        sizes.append(sum(mask.numel() for mask in layout.memo.values()))
    assert sizes[1] == 2 * sizes[0]
