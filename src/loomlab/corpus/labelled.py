"""A corpus of the user's own labelled rows."""

from typing import Annotated, Any, Literal

from loomlab.corpus.of_files import LabelledFilesCorpus
from loomlab.text.label_file import LabelFile
from loomlab.text.labelled_files import LabelledFiles
from loomlab.text.number_file import NumberFile, cached_number_files


class Labelled(LabelledFilesCorpus):
    """Your own labelled rows: path = a file, folder or glob of .csv, .tsv, .jsonl or .parquet.

    (.csv, .tsv and .jsonl also as .gz.) A row is a document, its text at `text_key`, its label at
    `label_key`; several labels are a list, or a text with `separator` (such as "|") in it. Held
    out are the rows of `validation_path`, else every `validation_every`-th row over all files in
    the order of their paths. `labels` names the labels in the order of their numbers; left empty,
    they are collected from the training rows and sorted. With objective=regression labels are
    numbers, one or several a row, and `labels` names these. With objective=clm or mlm the text is
    packed and labels are not looked at.
    """

    numbered = True
    problem_check = "loomlab.text.labelled_check.problems"

    def __init__(
        self,
        path: str = "",
        text_key: str = "text",
        label_key: str = "label",
        separator: str | None = None,
        labels: list[str] = [],  # noqa: B006  a schema default, never changed
        validation_path: str | None = None,
        validation_every: Annotated[int, "[2, inf)"] = 10,
        encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8",
        errors: Literal["strict", "replace"] = "strict",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.given_labels = tuple(labels)
        self.source = LabelledFiles(
            path, text_key, label_key, separator, validation_path, validation_every,
            encoding, errors,
        )  # fmt: skip

    def _labels(self) -> tuple[LabelFile | NumberFile, LabelFile | NumberFile]:
        if self.reads != "numbers":
            return super()._labels()
        return cached_number_files(
            self.cache_dir, self.known_fingerprint(), self.documents,
            self.steady(self.source.numbers), self.given_labels, self.source.label_key,
        )  # fmt: skip
