"""A prefix before the keys is what longer keys would be."""

import torch
import torch.nn.functional as F

from loomlab.attention.full import Full
from loomlab.attention.layout import Layout
from loomlab.attention.prefixed import Prefixed

ROWS, HEADS, TOKENS, WIDTH, LENGTH = 2, 2, 6, 4, 3


def test_every_query_sees_the_prefix_and_what_it_saw_before():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, ROWS, HEADS, TOKENS, WIDTH)
    place = torch.arange(TOKENS)[None]
    keep = torch.ones(ROWS, TOKENS, dtype=torch.bool)
    keep[1, :2] = False
    layout = Layout(True, place, place, keep_BS=keep)
    attention = Prefixed(Full(), LENGTH, HEADS, WIDTH)
    torch.nn.init.normal_(attention.values_HPK)
    allowed = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril() & keep[:, None]
    allowed |= torch.eye(TOKENS, dtype=torch.bool)
    seen = F.pad(allowed, (LENGTH, 0), value=True)[:, None]
    keys = torch.cat([attention.keys_HPK.expand(ROWS, -1, -1, -1), k], 2)
    values = torch.cat([attention.values_HPK.expand(ROWS, -1, -1, -1), v], 2)
    expected = F.scaled_dot_product_attention(q, keys, values, seen)
    torch.testing.assert_close(attention(q, k, v, layout), expected)
    assert torch.equal(attention.dense_mask(layout, q.dtype), layout.dense(q.dtype))
