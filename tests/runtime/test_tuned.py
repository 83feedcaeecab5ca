"""Allocator and matrix products that change the speed of a run and not its result."""

import platform
from collections.abc import Callable, Iterator

import pytest
import torch

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.runtime.tuned import ERROR_FACTOR, Tuned, fastest_exact_matmul, keep_freed_memory

RUN = [
    *("model.layers=2", "model.width=32", "model.heads=2", "budget.steps=20"),
    *("optimizer.lr=0.01", "trainer.val_every_n_steps=10"),
]
GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.fixture(autouse=True)
def _matmul_as_before() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def losses(folder: RunFolder) -> list[float]:
    return [
        value
        for row in read_metrics(folder.metrics)
        for key, value in row.items()
        if key in ("train/loss", "val/loss")
    ]


def test_the_result_is_that_of_plain(train: Callable[..., RunFolder]):
    plain = train(*RUN, "runtime=plain", folder="plain")
    tuned = train(*RUN, "runtime=tuned", folder="tuned")
    assert len(losses(plain)) == 22
    assert losses(plain)[-1] < losses(plain)[0], "it learns"
    assert losses(tuned) == pytest.approx(losses(plain), rel=1e-4)
    for key in ("final", "best"):
        one, other = (f.summary()[key]["val/bits_per_byte"] for f in (plain, tuned))
        assert other == pytest.approx(one, rel=1e-4)


def test_what_was_set_is_recorded(train: Callable[..., RunFolder]):
    folder = train(*RUN, "budget.steps=1", "runtime=tuned", "runtime.matmul=highest")
    assert folder.summary()["runtime"] == {
        "allocator": "keep" if GLIBC else "default",
        "matmul": "highest",
    }
    assert folder.summary()["choice"]["runtime"] == "tuned"


@pytest.mark.parametrize("matmul", ["highest", "medium"])
def test_the_matrix_product_asked_for_is_set(matmul: str):
    assert Tuned(allocator="default", matmul=matmul).apply()["matmul"] == matmul
    assert torch.get_float32_matmul_precision() == matmul


def test_auto_takes_a_product_that_is_as_exact():
    before = torch.get_float32_matmul_precision()
    picked = fastest_exact_matmul()
    assert torch.get_float32_matmul_precision() == before, "measuring sets nothing"
    left, right = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(1))
    errors = {}
    for precision in ("highest", picked):
        torch.set_float32_matmul_precision(precision)
        errors[precision] = (left @ right - left.double() @ right.double()).abs().mean().item()
    assert errors[picked] <= 2 * ERROR_FACTOR * errors["highest"]


def test_freed_memory_is_kept_on_glibc_alone():
    assert keep_freed_memory() is GLIBC
