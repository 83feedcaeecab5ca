"""Annotations read from source text: types for the schema, bounds for the values."""

import ast
import math
from typing import Any, Optional

import pytest

from loomlab.catalog.annotation import read_annotation


def read(text: str) -> Any:
    return read_annotation(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int", int), ("float", float), ("bool", bool), ("str", str), ("Any", Any),
        ("int | None", Optional[int]), ("None | str", Optional[str]),  # noqa: UP045
        ("int | float", float), ("int | str", Any), ("list[float]", list[float]),
        ("list[str]", list[str]), ("dict[str, Any]", dict[str, Any]), ("dict", dict[str, Any]),
        ("dict[str, int]", dict[str, int]),
        ("dict[str, Literal[3, 4]]", dict[str, int]), ("Path", Any), ("tuple[int, int]", Any),
        ('Literal["a", "b"]', str), ("Literal[1, 2]", int), ('Literal[1, "a"]', Any),
        ('Annotated[int, "[1, inf)"]', int),
        ('Annotated[float, "[0, 1)"] | None', Optional[float]),  # noqa: UP045
        ("np.ndarray", Any),
    ],
)  # fmt: skip
def test_types(text: str, kind: Any):
    assert read(text).type == kind


def test_no_annotation_is_anything():
    assert read_annotation(None).type is Any
    assert read_annotation(None).complaint("x") == ""


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[1, inf)", [1, 5, 10**9], [0, -1]),
        ("(0, inf)", [1e-9, 1], [0, -0.5]),
        ("[0, 1)", [0, 0.5], [1, -1e-9]),
        ("(0, 1]", [1, 0.5], [0, 1.0001]),
        ("(-inf, 0)", [-3], [0, 1]),
    ],
)
def test_intervals(interval: str, inside: list[float], outside: list[float]):
    meaning = read(f'Annotated[float, "{interval}"]')
    assert [meaning.complaint(value) for value in inside] == [""] * len(inside)
    for value in outside:
        assert meaning.complaint(value) == f"{value} is outside {interval}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("text", ["float", 'Annotated[float, "[0, inf)"]', "list[float]", "Any"])
def test_numbers_that_are_none_are_always_refused(text: str, value: float):
    given = [0.5, value] if text.startswith("list") else value
    assert "is not a finite number" in read(text).complaint(given)


def test_none_needs_no_bound_and_choices_are_named():
    assert read('Annotated[int, "[1, inf)"] | None').complaint(None) == ""
    meaning = read('Literal["gelu", "relu"]')
    assert meaning.complaint("relu") == ""
    assert meaning.complaint("rleu") == "'rleu' is none of gelu, relu"
    assert read('Literal["a", "b"] | None').choices == ("a", "b")


def test_a_dict_is_judged_by_its_values():
    meaning = read("dict[str, Literal[3, 4]]")
    assert meaning.complaint({"a": 3, "b": 4}) == ""
    assert meaning.complaint({"a": 3, "b": 5}) == "'5' is none of 3, 4"
    assert "outside" in read('dict[str, Annotated[int, "[1, inf)"]]').complaint({"a": 0})
