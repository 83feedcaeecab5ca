"""The watch counts what an allocator would, and what a process hands to the others."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from loomlab.plan.watch import Watch


def test_memory_is_counted_from_birth_to_death():
    watch = Watch()
    with FakeTensorMode(), watch.listening():
        one = torch.zeros(1000)
        view = one[:10]
        other = one + 1
        assert watch.live == 8000
        del one
        assert watch.live == 8000, "the view keeps it"
        del view, other
        assert watch.live == 0
    assert watch.peak == 8000


def test_storages_that_are_emptied_in_place_are_free():
    watch = Watch()
    with FakeTensorMode(), watch.listening():
        tensor = torch.zeros(1000)
        tensor.untyped_storage().resize_(0)
        assert watch.live == 0
        tensor.untyped_storage().resize_(4000)
        assert watch.live == 4000
    assert torch.zeros(4).untyped_storage().resize_(0).nbytes() == 0, "it is put back"


def test_products_are_priced_and_views_are_free():
    watch = Watch()
    with FakeTensorMode(), watch.listening():
        left, right = torch.zeros(4, 8), torch.zeros(8, 16)
        (left @ right).t().view(16, 4)
    kernel = watch.kernels[-1]
    assert kernel.name == "mm"
    assert kernel.flops == 2 * 4 * 8 * 16
    assert kernel.bytes == 4 * (4 * 8 + 8 * 16 + 4 * 16)
    assert not kernel.half


def test_attention_of_the_cpu_is_priced_forward_and_backward():
    watch = Watch()
    with FakeTensorMode(), watch.listening():
        q, k, v = (torch.zeros(1, 2, 64, 16, requires_grad=True) for _ in range(3))
        torch.nn.functional.scaled_dot_product_attention(q, k, v).sum().backward()
    product = 2 * 2 * 64 * 64 * 16
    flops = [kernel.flops for kernel in watch.kernels if kernel.flops]
    assert flops == pytest.approx([2 * product, 5 * product])
