"""What words alone tell: TF-IDF and logistic regression on the split of corpus=rotten_tomatoes.

    python experiments/rotten_tomatoes/baseline.py [--cache-dir DIR]

The strength of the penalty is chosen by cross-validation on the training reviews; the held-out
ones are looked at once. Needs scikit-learn (pip install -e ".[dev]").
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from sklearn.pipeline import Pipeline, make_pipeline

from loomlab.corpus.rotten_tomatoes import RottenTomatoes
from loomlab.corpus.with_labels import LabelledCorpus
from loomlab.text.cache import default_cache_dir

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)


def part(corpus: LabelledCorpus, split: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a split."""
    return list(corpus.documents(split)), [row.labels[0] for row in corpus.labels(split)]


def models() -> dict[str, Pipeline]:
    """The baselines, untrained."""
    regression = LogisticRegressionCV(
        Cs=STRENGTHS, cv=5, max_iter=2000, scoring="accuracy", l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )  # fmt: skip
    return {
        "always the commonest label": make_pipeline(
            TfidfVectorizer(), DummyClassifier(strategy="most_frequent")
        ),
        "TF-IDF of words and word pairs, logistic regression": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), regression
        ),
    }


def measure(corpus: LabelledCorpus) -> dict[str, dict[str, float]]:
    """Held-out accuracy, F1 and correlation of each baseline."""
    texts, labels = part(corpus, "train")
    held_out, truth = part(corpus, "validation")
    results = {}
    for name, model in models().items():
        guess = model.fit(texts, labels).predict(held_out)
        results[name] = {
            "accuracy": accuracy_score(truth, guess),
            "F1": f1_score(truth, guess, average="macro"),
            "Matthews": matthews_corrcoef(truth, guess),
        }
    return results


def table(results: dict[str, dict[str, float]]) -> str:
    """The results in Markdown."""
    lines = ["| model | accuracy | F1 | Matthews |", "|---|---|---|---|"]
    for name, numbers in results.items():
        lines.append(f"| {name} | {' | '.join(f'{n:.3f}' for n in numbers.values())} |")
    return "\n".join(lines)


def main() -> None:
    """Fetch the reviews if they are not here, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache-dir", type=Path, default=default_cache_dir())
    cache_dir = parser.parse_args().cache_dir
    corpus = RottenTomatoes(cache_dir=cache_dir)
    corpus.fetch()
    print(table(measure(corpus)))


if __name__ == "__main__":
    main()
