"""The process as it comes."""

from collections.abc import Callable, Iterator

import pytest
import torch

from loomlab.run.folder import RunFolder
from loomlab.runtime.plain import Plain
from loomlab.runtime.tuned import Tuned

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


@pytest.fixture(autouse=True)
def _matmul_as_before() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_the_matrix_product_of_torch_is_recorded(train: Callable[..., RunFolder]):
    folder = train(*SMALL, "runtime=plain")
    assert folder.summary()["runtime"]["matmul"] == "highest"
    assert folder.summary()["choice"]["runtime"] == "plain"


def test_it_undoes_the_matrix_product_of_the_job_before():
    """The jobs of a sweep share one process: runtime=tuned,plain must differ."""
    torch.set_float32_matmul_precision("medium")
    assert Plain().apply()["matmul"] == "highest"
    assert torch.get_float32_matmul_precision() == "highest"


def test_kept_memory_is_not_called_default():
    """malloc cannot be set back, so what an earlier job has set is said."""
    before = Tuned(allocator="default", matmul="highest").apply()["allocator"]
    assert Plain().apply()["allocator"] == before
    kept = Tuned(allocator="keep", matmul="highest").apply()["allocator"]
    assert Plain().apply()["allocator"] == kept
