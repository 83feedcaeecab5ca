"""Which cases of a test are run when: some of many always, the rest by `make soak`."""

from collections.abc import Iterable
from typing import Any

import pytest


def fast_slow_soak(
    cases: Iterable[Any], fast: Iterable[Any] = (), slow: Iterable[Any] = ()
) -> list[Any]:
    """Parameters: those in `fast` without a mark, those in `slow` with theirs, all others soak."""
    cases, fast, slow = list(cases), list(fast), list(slow)
    unknown = [c for c in (*fast, *slow) if c not in cases]
    assert not unknown, f"no such cases: {unknown}"
    return [
        case if case in fast
        else pytest.param(case, marks=pytest.mark.slow if case in slow else pytest.mark.soak)
        for case in cases
    ]  # fmt: skip


def one_in(count: int, cases: Iterable[Any], *marks: Any) -> list[Any]:
    """Parameters: one in so many with the marks given, always the same ones; all others soak."""
    return [
        pytest.param(case, marks=[pytest.mark.soak] if number % count else marks)
        for number, case in enumerate(cases)
    ]
