"""Names of labels: collected or given, and refused with the place of the fault."""

import pytest

from loomlab.errors import InputError
from loomlab.text.class_labels import RowLabels, resolve, settle_names


def rows(*labels: str | tuple[str, ...], name: str = "train.csv") -> list[RowLabels]:
    texts = [(label,) if isinstance(label, str) else label for label in labels]
    return [RowLabels(label, f"{name}, line {n}") for n, label in enumerate(texts, start=2)]


def test_names_are_collected_and_sorted():
    assert settle_names(rows("b", "a", "b"), rows("a")) == ["a", "b"]
    assert settle_names(rows("10", "9", "2"), rows("9")) == ["2", "9", "10"], "as numbers"
    assert settle_names(rows("b", "9", "10"), rows("9")) == ["10", "9", "b"], "not all are"
    assert settle_names(rows(("x", "y"), ()), rows(())) == ["x", "y"]
    assert settle_names(rows(("x",), ()), rows(())) == ["x"], "one label that is there or not"


def test_given_names_keep_their_order_and_may_be_numbered():
    given = ["pos", "neg", "absent"]
    assert settle_names(rows("neg", "0"), rows("1"), given) == given
    assert resolve(RowLabels(("neg", "0"), ""), given) == (1, 0)
    assert resolve(RowLabels(("0",), ""), ["1", "0"]) == (1,), "a name comes before a number"


@pytest.mark.parametrize(
    ("train", "validation", "given", "words"),
    [
        (rows("neg", "poss"), [], ["neg", "pos"], r"line 3: the label 'poss' .*mean pos\?"),
        (rows("neg", "3"), [], ["neg", "pos"], r"line 3: the label 3 is out of range: .* to 1"),
        (rows("neg", "2"), [], ["neg", "pos"], r"line 3: the label 2 is out of range"),
        (rows("-1"), [], ["neg", "pos"], r"line 2: the label -1 is out of range"),
        (rows("a", "a"), [], [], r"train\.csv: all 2 training rows are labelled 'a': give rows"),
        (rows((), ()), [], [], r"train\.csv: no training row has a label"),
        (rows("a", "b"), rows("a", "c", name="test.csv"), [],
         r"test\.csv, line 3: the label 'c' of this held-out row is in no training row"),
        (rows("1.5", "2"), rows("-0.25", name="test.csv"), [],
         r"corpus\.validation_path, or use objective=regression for numbers$"),
        (rows("a", "b"), rows("c", name="test.csv"), ["a", "b", "c"], r"test\.csv, line 2"),
        (rows("a", "b"), [], ["a", "b", "a"], r"corpus\.labels=\[a,b,a\]: a name is there twice"),
    ],
    ids=str,
)  # fmt: skip
def test_faults(train: list, validation: list, given: list[str], words: str):
    with pytest.raises(InputError, match=words):
        settle_names(train, validation, given)
