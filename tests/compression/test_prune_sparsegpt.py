"""SparseGPT against least squares by brute force."""

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from loomlab.compression.masks import drop_smallest, keep_n_of_m
from loomlab.compression.prune_sparsegpt import PruneSparseGPT
from loomlab.compression.prune_wanda import PruneWanda

torch.manual_seed(0)
X = torch.randn(200, 8) @ torch.randn(8, 8)  # inputs that go together, as real ones do


def layer(outputs: int = 6) -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(8, outputs, bias=False)


def error(weight: Tensor, made: nn.Linear) -> float:
    return float(((X @ (weight - made.weight).T) ** 2).sum())


def best_for(mask: Tensor, weight: Tensor) -> Tensor:
    """Least squares of a row on the inputs that are kept."""
    solved = torch.zeros_like(weight)
    solved[mask] = torch.linalg.lstsq(X[:, mask], X @ weight).solution
    return solved


@pytest.mark.parametrize("block", [1, 3, 128])
def test_it_lies_between_brute_force_and_magnitude(block: int):
    made = layer()
    with torch.no_grad():
        sparse = PruneSparseGPT(block=block, damping=1e-6).sparse(made, X.T @ X)
        rows = [best_for(s != 0, w) for s, w in zip(sparse, made.weight, strict=True)]
        magnitude = made.weight * drop_smallest(made.weight.abs(), 0.5)
        wanda = PruneWanda().sparse(made, X.T @ X)
        assert (sparse == 0).sum() == 24
        assert error(torch.stack(rows), made) <= error(sparse, made) * 1.001
        assert error(sparse, made) < error(magnitude, made)
        if block > 1:  # one column at a time, half of every column has to go
            assert error(sparse, made) < error(wanda, made)


def test_one_weight_of_the_last_block_is_what_brute_force_would_take():
    """Of one row and one weight to go, from the first column on, the update is exact."""
    made = layer(outputs=1)
    with torch.no_grad():
        sparse = PruneSparseGPT(sparsity=1 / 8, damping=1e-9).sparse(made, X.T @ X)
        gone = int((sparse == 0).flatten().nonzero())
        # columns before the pruned one stay; those after it are solved by least squares
        free = torch.arange(8) > gone
        target = X @ made.weight[0] - X[:, :gone] @ made.weight[0, :gone]
        expected = made.weight[0].clone()
        expected[gone] = 0
        if free.any():
            expected[free] = torch.linalg.lstsq(X[:, free], target[:, None]).solution[:, 0]
        torch.testing.assert_close(sparse[0], expected, atol=1e-3, rtol=1e-3)


def test_two_of_four():
    made = layer()
    with torch.no_grad():
        technique = PruneSparseGPT(pattern="2:4")
        technique.check({"made": made})
        sparse = technique.sparse(made, X.T @ X)
        assert ((sparse.view(-1, 4) != 0).sum(1) == 2).all()
        dropped = made.weight * keep_n_of_m(made.weight.abs(), 2, 4)
        assert error(sparse, made) < error(dropped, made)
        best = 0.0  # no 2:4 mask, solved exactly, does better than the best of all of them
        for row in made.weight:
            best += min(
                float(((X @ (best_for(mask_of(a, b), row) - row)) ** 2).sum())
                for a in combinations(range(4), 2)
                for b in combinations(range(4, 8), 2)
            )
        assert best <= error(sparse, made)


def mask_of(*places: tuple[int, ...]) -> Tensor:
    mask = torch.zeros(8, dtype=torch.bool)
    mask[[i for place in places for i in place]] = True
    return mask


def test_an_input_that_is_always_zero_loses_its_weights():
    made = layer()
    inputs = X.clone()
    inputs[:, 3] = 0
    with torch.no_grad():
        sparse = PruneSparseGPT().sparse(made, inputs.T @ inputs)
    assert sparse.isfinite().all()
    assert (sparse[:, 3] == 0).all()
