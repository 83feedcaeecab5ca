"""All of a tensor and the part of a process, whichever way it is cut up."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from loomlab.measure.whole import local, part, put_together, whole


class Halves:
    """A record of a cut: this process holds the first half of what is there twice."""

    def whole(self, held: Tensor) -> Tensor:
        assert not isinstance(held, DTensor)
        return torch.cat([held, held])

    def here(self, full: Tensor) -> Tensor:
        return full[: len(full) // 2]


def halved(tensor: Tensor) -> Tensor:
    tensor.cut = Halves()
    return tensor


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    """One process that is all there is of a group."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield DeviceMesh("cpu", [0])
    dist.destroy_process_group()


def test_what_is_not_cut_up_is_whole():
    tensor = torch.arange(3.0)
    assert local(tensor) is whole(tensor) is whole(tensor, torch.ones(3)) is tensor
    assert part(tensor, torch.ones(3)).tolist() == [0, 1, 2]


def test_a_weight_with_a_record_tells_how_what_belongs_to_it_is_cut():
    weight, state = halved(torch.arange(2.0)), torch.ones(2)
    assert local(weight) is weight
    assert whole(weight).tolist() == [0, 1, 0, 1]
    assert whole(state).tolist() == [1, 1]
    assert whole(state, weight).tolist() == [1, 1, 1, 1]
    assert part(torch.arange(4.0), weight).tolist() == [0, 1]


def test_parts_of_a_mesh_and_a_weight_that_is_cut_both_ways(mesh: DeviceMesh):
    weight = distribute_tensor(torch.arange(2.0), mesh, [Shard(0)])
    for found in (local(weight), whole(weight), part(torch.arange(2.0), weight)):
        assert not isinstance(found, DTensor)
        assert found.tolist() == [0, 1]
    halved(weight)
    assert whole(weight).tolist() == [0, 1, 0, 1]
    assert part(torch.arange(4.0), weight).tolist() == [0, 1]


def test_parts_are_put_together_as_they_were_cut(mesh: DeviceMesh):
    full = torch.tensor([5.0, 6.0, 5.0, 6.0])
    for weight in (torch.zeros(2), distribute_tensor(torch.zeros(2), mesh, [Shard(0)])):
        assert put_together(full[:2], weight).tolist() == [5, 6]
        halved(weight)
        assert put_together(part(full, weight), weight).tolist() == full.tolist()
