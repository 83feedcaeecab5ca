"""A dataset of the Hugging Face hub, or a local copy of one."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from loomlab.corpus.base import Corpus
from loomlab.errors import InputError
from loomlab.home import at_home
from loomlab.text.dataset_source import DatasetSource, HubDataset, LocalFolder
from loomlab.text.identity import RULES_VERSION, content_key
from loomlab.text.parquet import read_parquet
from loomlab.text.passages import held_out, passages
from loomlab.text.reading import read_jsonl
from loomlab.text.splits import split_files


class HF(Corpus):
    """A Hugging Face dataset: `name` on the hub, or `path` to a local folder in the same layout.

    Files are .parquet, .jsonl or .json with a row a line (each also .gz). A row is a document,
    its text at `text_key`; with rows=lines the rows are lines of one text, cut into passages of
    about `passage_bytes`. Held out is `validation_split` if the dataset has it, else every
    `validation_every`-th document. `max_documents` are read at most, and from a validation split
    in proportion; of the hub's files only those that are read are downloaded. errors=replace reads
    what is not text in `encoding` as U+FFFD.
    """

    problem_check = "loomlab.corpus.hf_check.problems"

    def __init__(
        self,
        name: str | None = None,
        path: str | None = None,
        config: str | None = None,
        revision: str = "main",
        text_key: str = "text",
        train_split: str = "train",
        validation_split: str | None = "validation",
        rows: Literal["documents", "lines"] = "documents",
        passage_bytes: Annotated[int, "[100, inf)"] = 4000,
        max_documents: Annotated[int, "[2, inf)"] | None = None,
        validation_every: Annotated[int, "[2, inf)"] = 20,
        encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8",
        errors: Literal["strict", "replace"] = "strict",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name, self.path, self.config, self.revision = name, path, config, revision
        self.text_key, self.rows, self.passage_bytes = text_key, rows, passage_bytes
        self.splits = (train_split, validation_split)
        self.max_documents, self.validation_every = max_documents, validation_every
        self.encoding, self.errors = encoding, errors

    def fetch(self) -> None:
        """Pin the list of files; the files themselves come when they are read."""
        self._files()

    def documents(self, split: str) -> Iterator[str]:
        """Documents in the order of the files' names; InputError when a file cannot be read."""
        files = self._files()
        if files["validation"]:
            limit = self.max_documents
            if limit is not None and split == "validation":
                limit = -(-limit // self.validation_every)
            return itertools.islice(self._read(files[split]), limit)
        every = itertools.islice(self._read(files["train"]), self.max_documents)
        return held_out(every, self.validation_every, split)

    def fingerprint(self) -> str:
        """Hash of the files (of the hub: the commit) and of the settings that cut them."""
        files = self._files()
        cut = [self.text_key, self.rows, self.passage_bytes]
        if (self.encoding, self.errors) != ("utf-8", "strict"):
            cut += [self.encoding, self.errors]
        limits = [self.max_documents, self.validation_every]
        every = [file for split in ("train", "validation") for file in files[split]]
        counts = [len(files["train"]), len(files["validation"])]
        content = self._source().identity(every)
        return content_key("hf", RULES_VERSION, content, counts, cut, limits)

    def _source(self) -> DatasetSource:
        if (self.name is None) == (self.path is None):
            raise InputError("corpus=hf needs exactly one of corpus.name and corpus.path")
        if self.path is not None:
            return LocalFolder(at_home(self.path))
        return HubDataset(str(self.name), self.revision, self.cache_dir)

    def _files(self) -> dict[str, list[str]]:
        try:
            return split_files(self._source().files(), self.config, *self.splits)
        except InputError as error:
            text = str(error)
            named = text.startswith("corpus")
            raise InputError(
                text if named else f"corpus {self.name or self.path}: {text}"
            ) from None

    def _read(self, files: Iterable[str]) -> Iterator[str]:
        source = self._source()
        texts = (text for file in files for text in self._texts(source.local(file)))
        if self.rows == "documents":
            return texts
        return passages((f"{text.rstrip()}\n" for text in texts), self.passage_bytes)

    def _texts(self, file: Path) -> Iterator[str]:
        if file.suffix.lower() == ".parquet":
            return read_parquet(file, self.text_key, self.errors)
        return read_jsonl(file, self.text_key, self.encoding, self.errors)
