"""What a swept override spans, and draws from it."""

import math
import random
import statistics

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from loomlab.errors import InputError
from loomlab.sweep.dimension import Between, Dimension, Values, dimension


def spanned(text: str) -> Dimension:
    return dimension(OverridesParser.create().parse_override(text))


def drawn(text: str, count: int = 400) -> list[float]:
    one, generator = spanned(text), random.Random(1)
    return [float(one.draw(generator).partition("=")[2]) for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1,2", Values("a", ("1", "2"))),
        ("+a=choice(x,[1,2])", Values("+a", ("x", "[1,2]"))),
        ("a=interval(1,8)", Between("a", 1.0, 8.0)),
        ("a=int(interval(1,8))", Between("a", 1, 8, whole=True)),
        ("a=tag(log,interval(1e-4,1e-2))", Between("a", 1e-4, 1e-2, log=True)),
        ("a=tag(log,int(interval(1,64)))", Between("a", 1, 64, whole=True, log=True)),
        ("a=range(2,9,2)", Between("a", 2, 8, whole=True, step=2)),
        ("a=range(8,2,-2)", Between("a", 4, 8, whole=True, step=2)),
        ("a=range(3,4)", Values("a", ("3",))),
    ],
)
def test_what_it_spans(text: str, expected: Dimension):
    assert spanned(text) == expected


def test_every_value_of_a_range():
    assert spanned("a=range(2,9,3)").listed() == ["a=2", "a=5", "a=8"]
    assert spanned("a=range(0.1,0.45,0.1)").listed() == ["a=0.1", "a=0.2", "a=0.3", "a=0.4"]


def test_draws_lie_inside_and_fill_it():
    numbers = drawn("a=interval(0.2,0.4)")
    assert 0.2 <= min(numbers) < 0.21
    assert 0.39 < max(numbers) <= 0.4
    assert set(drawn("a=int(interval(1,4))")) == {1, 2, 3, 4}
    assert set(drawn("a=tag(log,int(interval(1,4)))")) == {1, 2, 3, 4}
    assert set(drawn("a=range(1,9,3)")) == {1, 4, 7}
    assert set(drawn("a=3,5")) == {3, 5}


def test_logarithmic_draws_have_every_magnitude_alike():
    numbers = drawn("a=tag(log,interval(1e-6,1e-2))")
    assert statistics.median(map(math.log10, numbers)) == pytest.approx(-4, abs=0.4)
    assert all(len(repr(n)) <= 12 for n in numbers), "short enough to be read"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a=tag(lgo,interval(1,2))", "a: the tag lgo means nothing here; there is log"),
        ("a=tag(log,range(1,9))", "a: log goes with an interval"),
        ("a=interval(2,1)", "a: interval(2, 1) is empty: give the lower end first"),
        ("a=tag(log,interval(0,1))", "a: a logarithmic interval begins above 0, not at 0"),
    ],
)
def test_refusals(text: str, sentence: str):
    with pytest.raises(InputError) as refusal:
        spanned(text)
    assert str(refusal.value).startswith(sentence)


def test_interval_cannot_be_listed():
    with pytest.raises(InputError, match=r"^a: an interval .* sweep=random or sweep=optuna"):
        spanned("a=interval(1,2)").listed()
