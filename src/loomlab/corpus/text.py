"""A corpus of the user's own files."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from loomlab.corpus.base import Corpus
from loomlab.errors import InputError
from loomlab.text.documents import file_documents
from loomlab.text.files import TXT, corpus_files, tell_left_out
from loomlab.text.identity import files_digest
from loomlab.text.passages import held_out

SHORTEST = 100  # bytes of a passage


class Text(Corpus):
    """Your own files: path = a file, folder or glob of .txt, .jsonl (each also .gz) or .parquet.

    A .txt file is cut into passages of whole paragraphs of about `passage_bytes`, or into the
    documents between lines that are `document_separator`, such as <|endoftext|>; a row of .jsonl
    or .parquet is a document, its text at `text_key`. Every `validation_every`-th document
    over all files, in the order of their paths, is held out. Blank documents are dropped and
    counted. errors=replace reads what is not text in `encoding` as U+FFFD.
    """

    problem_check = "loomlab.text.files.path_problems"

    def __init__(
        self,
        path: str = "",
        text_key: str = "text",
        passage_bytes: Annotated[int, "[100, inf)"] = 4000,
        validation_every: Annotated[int, "[2, inf)"] = 20,
        encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8",
        errors: Literal["strict", "replace"] = "strict",
        document_separator: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path, self.text_key = path, text_key
        self.passage_bytes, self.validation_every = passage_bytes, validation_every
        self.encoding, self.errors = encoding, errors
        self.document_separator = document_separator and document_separator.strip()

    def fetch(self) -> None:
        """The files are here; which ones are left out is said."""
        if self.rank == 0:
            tell_left_out(self.path)

    def documents(self, split: str) -> Iterator[str]:
        """Documents in the order of the files' paths; InputError when a file cannot be read."""
        return held_out(self._solid(), self.validation_every, split)

    def fingerprint(self) -> str:
        """Hash of the files and of the settings that cut them."""
        files = corpus_files(self.path)
        cut = [self.text_key, self.passage_bytes, self.encoding, self.errors]
        if self.document_separator is not None:
            cut.append(self.document_separator)
        kinds = [file.suffixes for file in files]
        return files_digest(files, "text", cut, self.validation_every, kinds)

    def few_documents(self, documents: int, size: int) -> str:
        """As for any corpus; one passage can be cut finer."""
        said = super().few_documents(documents, size)
        rows = not any(f.name.lower().endswith(TXT) for f in corpus_files(self.path))
        if documents > 1 or rows:
            return said
        if self.document_separator is not None:
            return f"{said}, or leave out corpus.document_separator"
        if size <= 2 * SHORTEST:
            return said
        finer = max(SHORTEST, size // 10)
        every = min(self.validation_every, max(2, size // finer // 2))  # some may be blank lines
        settings = f"corpus.passage_bytes={finer} corpus.validation_every={every}"
        return f"{said}, or cut it finer with {settings}"

    def _solid(self) -> Iterator[str]:
        found = False
        for file in corpus_files(self.path):
            documents = file_documents(
                file, self.text_key, self.passage_bytes, self.encoding, self.errors,
                self.document_separator,
            )  # fmt: skip
            for document in documents:
                found = found or bool(document.strip())
                yield document
        if not found:
            raise InputError(f"{self.path} holds only blank text: 0 documents")
