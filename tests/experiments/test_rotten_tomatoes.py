"""The bag-of-words baseline: it runs on any labelled corpus and scores what it says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from loomlab.corpus.labelled import Labelled

FOLDER = Path(__file__).parents[2] / "experiments" / "rotten_tomatoes"
REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"


@pytest.fixture(scope="module")
def baseline() -> ModuleType:
    """experiments/rotten_tomatoes/baseline.py as a module."""
    spec = importlib.util.spec_from_file_location("baseline", FOLDER / "baseline.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def corpus(tmp_path: Path) -> Labelled:
    """Reviews whose words tell the label."""
    return Labelled(str(REVIEWS), validation_every=3, cache_dir=tmp_path)


def test_words_tell_more_than_the_commonest_label(baseline: ModuleType, corpus: Labelled):
    results = baseline.measure(corpus)
    common, words = results.values()
    _, labels = baseline.part(corpus, "train")
    texts, truth = baseline.part(corpus, "validation")
    most = max(set(labels), key=labels.count)
    assert common["accuracy"] == pytest.approx(truth.count(most) / len(texts))
    assert common["Matthews"] == 0
    assert words["accuracy"] >= 0.95
    assert words["F1"] >= 0.95


def test_the_readme_holds_the_table(baseline: ModuleType):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in baseline.models():
        assert re.search(rf"^\| {re.escape(name)} \| 0\.\d\d\d \|", readme, re.MULTILINE)
    table = baseline.table({"x": {"accuracy": 0.5, "F1": 0.25, "Matthews": 0.125}})
    assert table.splitlines()[-1] == "| x | 0.500 | 0.250 | 0.125 |"
