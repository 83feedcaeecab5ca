"""A corpus of the user's own rows of words, each word with a label."""

from typing import Annotated, Any, Literal

from loomlab.corpus.of_files import LabelledFilesCorpus
from loomlab.text.label_file import LabelFile
from loomlab.text.rows import Frame, LabelledRows
from loomlab.text.tagged_files import TaggedFiles
from loomlab.text.tagged_rows import TaggedRows
from loomlab.text.token_file import Manifest
from loomlab.text.words import cached_word_starts
from loomlab.tokenizer.base import tokenizer_hash


class Tagged(LabelledFilesCorpus):
    """Your own rows of words with a label each: named entities, parts of speech.

    path = a file, folder or glob of .jsonl or .parquet, whose rows have the words of a sentence
    as a list at `text_key` and as many labels at `label_key`; or of .conll, .iob, .bio or .txt
    with a word and its label a line (first and last column), a blank line between sentences and
    -DOCSTART- lines skipped. (All but .parquet also as .gz.) Held out are the rows of
    `validation_path`, else every `validation_every`-th row over all files in the order of their
    paths. `labels` names the labels in the order of their numbers; left empty, they are collected
    and sorted. A document is the words with a space between them. With objective=clm or mlm the
    text is packed and labels are not looked at.
    """

    labelled = False  # its documents have no label as a whole
    tagged = True
    problem_check = "loomlab.text.tagged_check.problems"

    def __init__(
        self,
        path: str = "",
        text_key: str = "tokens",
        label_key: str = "tags",
        labels: list[str] = [],  # noqa: B006  a schema default, never changed
        validation_path: str | None = None,
        validation_every: Annotated[int, "[2, inf)"] = 10,
        encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8",
        errors: Literal["strict", "replace"] = "strict",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.given_labels = tuple(labels)
        self.source: TaggedFiles = TaggedFiles(
            path, text_key, label_key, None, validation_path, validation_every, encoding, errors
        )

    def _cut(self, checksums: bool) -> tuple[Manifest, Manifest]:
        manifests = super()._cut(checksums)
        if self.reads == "rows":
            self._starts = cached_word_starts(
                self.cache_dir, self.known_fingerprint(), self.steady(self.source.words),
                self.hf_tokenizer, tokenizer_hash(self.hf_tokenizer),
            )  # fmt: skip
        return manifests

    def _rows(self, split: str, frame: Frame, max_samples: int | None) -> LabelledRows:
        tags = self._label_files[split]
        assert isinstance(tags, LabelFile)
        return TaggedRows(
            self._tokens(split), tags, frame, max_samples,
            starts=self._starts[split],
        )  # fmt: skip
