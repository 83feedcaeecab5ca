"""What words alone tell: TF-IDF and logistic regression on the split of a labelled corpus.

The strength of the penalty is chosen by cross-validation on the training texts; the held-out
ones are looked at once.
"""

from __future__ import annotations

from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from sklearn.pipeline import Pipeline, make_pipeline

from loomlab.corpus.with_labels import LabelledCorpus

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
        "bag of words": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), regression
        ),
    }


def measure(corpus: LabelledCorpus, rows: int | None = None) -> dict[str, dict[str, float]]:
    """Held-out accuracy, F1 and correlation of each baseline, by the names of a run's metrics.

    Trained on the first `rows` training texts, as corpus.max_samples takes them; None: on all.
    """
    texts, labels = part(corpus, "train")
    held_out, truth = part(corpus, "validation")
    results = {}
    for name, model in models().items():
        guess = model.fit(texts[:rows], labels[:rows]).predict(held_out)
        results[name] = {
            "val/accuracy": float(accuracy_score(truth, guess)),
            "val/f1": float(f1_score(truth, guess, average="macro")),
            "val/matthews": float(matthews_corrcoef(truth, guess)),
        }
    return results
