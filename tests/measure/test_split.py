"""Numbers that can be shared."""

import pytest

from loomlab.measure.split import (
    Split,
    Uneven,
    nearest_divisors,
    nearest_multiples,
    split_batch,
)


@pytest.mark.parametrize(
    ("total", "parts", "words"), [(16, 3, "15 or 18"), (2, 8, "8"), (6, 4, "4 or 8")]
)
def test_nearest(total: int, parts: int, words: str):
    assert nearest_multiples(total, parts) == words


def test_nearest_divisors():
    assert [nearest_divisors(12, n) for n in (5, 4, 2, 40)] == [
        *("4 or 6", "3 or 6", "1 or 3", "12")
    ]


@pytest.mark.parametrize(
    ("given", "split"),
    [
        ({"total": 16, "shares": 2}, Split(1, 8)),
        ({"total": 16, "shares": 2, "steps": 4}, Split(4, 2)),
        ({"total": 16, "shares": 2, "micro": 4}, Split(2, 4)),
        ({"total": 16, "shares": 2, "micro": 2, "parts": 2}, Split(2, 4)),
        ({"total": 16, "shares": 2, "micro": 2, "steps": 4}, Split(4, 2)),
    ],
)
def test_every_row_is_read_once(given: dict[str, int], split: Split):
    assert split_batch(**given) == split
    assert split.steps * split.rows * given["shares"] == given["total"]


@pytest.mark.parametrize(
    ("given", "key", "fix"),
    [
        ({"total": 16, "shares": 3}, "global_batch_size", "nearest that can: 15 or 18"),
        ({"total": 16, "shares": 3, "steps": 2}, "global_batch_size", "can: 12 or 18"),
        (
            {"total": 20, "shares": 2, "micro": 2, "parts": 2},
            "micro_batch_size",
            "1 or 5, or global_batch_size=16 or 24",
        ),
        (
            {"total": 16, "shares": 2, "micro": 16},
            "micro_batch_size",
            "8, or global_batch_size=32",
        ),
        # No micro-batch would do where processes do not divide the rows.
        ({"total": 16, "shares": 3, "micro": 2}, "micro_batch_size", "can: global_batch_size=12 "),
        ({"total": 16, "shares": 1, "micro": 8, "steps": 4}, "micro_batch_size", "one of the two"),
    ],
)
def test_what_cannot_be_shared(given: dict[str, int], key: str, fix: str):
    with pytest.raises(Uneven) as error:
        split_batch(**given)
    assert error.value.key == key
    assert fix in error.value.fix
    assert str(error.value) == f"{key}: {error.value.what}; {error.value.fix}"
    assert (" x 2 parts" in error.value.what) == ("parts" in given)
    assert " x 1 parts" not in error.value.what
