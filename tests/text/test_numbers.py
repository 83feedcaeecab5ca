"""Numbers of rows: what is read as one, how they are spread, and what cannot be learned."""

import statistics
from decimal import Decimal

import pytest

from loomlab.errors import InputError
from loomlab.text.numbers import RowNumbers, read_numbers, settle_numbers


@pytest.mark.parametrize(
    ("value", "separator", "numbers"),
    [
        (3, None, (3.0,)),
        (-0.5, None, (-0.5,)),
        (" 1e-3 ", None, (0.001,)),
        ([1, "2.5"], None, (1.0, 2.5)),
        ("1| 2 |1", "|", (1.0, 2.0, 1.0)),
        (7, "|", (7.0,)),
        (Decimal("2.50"), None, (2.5,)),  # of Parquet
    ],
)
def test_what_is_a_number(value: object, separator: str | None, numbers: tuple[float, ...]):
    assert read_numbers(value, "stars", separator, "a.csv, line 2") == numbers


@pytest.mark.parametrize(
    ("value", "separator", "words"),
    [
        ("good", None, "'good' at \"stars\" is no number: fix the row, or use objective=classifi"),
        ("1,5", None, "'1,5' at \"stars\" is no number (write 1.5): fix"),
        ("1_000", None, "'1_000' at \"stars\" is no number:"),
        (True, None, "'True' at \"stars\" is no number:"),
        ({"a": 1}, None, "at \"stars\" is no number:"),
        ("", None, 'no number at "stars": give the row one'),
        (None, None, 'no number at "stars"'),
        ([], None, 'no number at "stars"'),
        ("1||2", "|", 'no number at "stars"'),
        ("nan", None, 'nan at "stars" is no number that can be learned'),
        (float("-inf"), None, '-inf at "stars" is no number that can be learned'),
        ("1e40", None, "finite and at most 1e+30"),
        (10**400, None, "is no number"),
    ],
)  # fmt: skip
def test_what_is_none_is_said_with_its_place(value: object, separator: str | None, words: str):
    with pytest.raises(InputError) as fault:
        read_numbers(value, "stars", separator, "a.csv, line 2")
    assert str(fault.value).startswith("a.csv, line 2: ")
    assert words in str(fault.value)


def rows(*values: tuple[float, ...]) -> list[RowNumbers]:
    return [RowNumbers(row, f"a.csv, line {n}") for n, row in enumerate(values, start=2)]


def test_the_spread_is_that_of_training_rows_alone():
    first, second = [3.5, 1e6, -2.0, 7.25], [2000.0, 2001.0, 1999.5, 2004.0]
    train = rows(*zip(first, second, strict=True))
    spread = settle_numbers(train, rows((99.0, 0.0)), (), "y")
    assert spread.names == ("y_1", "y_2")
    assert spread.mean == pytest.approx([statistics.fmean(first), statistics.fmean(second)])
    deviations = [statistics.pstdev(first), statistics.pstdev(second)]
    assert spread.deviation == pytest.approx(deviations)
    assert settle_numbers(train, [], ("a", "b"), "y").names == ("a", "b")
    assert settle_numbers(rows((1,), (2,)), [], (), "y").names == ("y",)


@pytest.mark.parametrize(
    ("train", "validation", "given", "words"),
    [
        ([(2.0,)] * 3, [], (), 'a.csv: the number "y" of all 3 training rows is 2, so there is'),
        ([(1.0, 5.0), (2.0, 5.0)], [], (), 'the number "y_2" of all 2 training rows is 5'),
        ([(1.0,), (1.0, 2.0)], [], (), "a.csv, line 3: 2 numbers, where a.csv, line 2 has 1"),
        ([(1.0, 2.0), (2.0, 1.0)], [(1.0,)], (), "a.csv, line 2: 1 number, where a.csv, line 2"),
        ([(1.0,), (2.0,)], [], ("a", "b"), "1 number, where corpus.labels=[a,b] names 2"),
        ([(1.0, 2.0)], [], ("a", "a"), "corpus.labels=[a,a]: a name is there twice"),
        ([(1e9,), (1e9 + 1,)], [], (), "give them as differences from a number near them"),
        ([], [], (), "no training row has a text"),
    ],
)
def test_what_cannot_be_learned(train: list, validation: list, given: tuple, words: str):
    with pytest.raises(InputError) as fault:
        settle_numbers(rows(*train), rows(*validation), given, "y")
    assert words in str(fault.value)
