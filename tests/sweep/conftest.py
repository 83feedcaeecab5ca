"""Shared by the tests of sweeps."""

from collections.abc import Callable, Iterator

import pytest
from hydra.core.global_hydra import GlobalHydra

from loomlab.sweep.plan import Plan, plan


@pytest.fixture
def planned() -> Iterator[Callable[..., Plan]]:
    """The plan of a sweep."""
    yield lambda *overrides: plan(list(overrides))
    GlobalHydra.instance().clear()
