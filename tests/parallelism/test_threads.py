"""Processes of one machine share its cores."""

import os
from collections.abc import Iterator

import pytest
import torch

from loomlab.parallelism.threads import divide_threads


@pytest.fixture(autouse=True)
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_each_gets_its_part(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    assert divide_threads(2) == torch.get_num_threads() == 3
    assert divide_threads(100) == 1


def test_one_process_and_a_number_that_was_given_stay(
    monkeypatch: pytest.MonkeyPatch, threads: int
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert divide_threads(1) == threads
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    assert divide_threads(2) == threads
