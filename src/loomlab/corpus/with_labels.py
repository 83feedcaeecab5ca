"""What a labelled corpus is: documents with labels, read as rows where an objective wants so."""

from __future__ import annotations

import abc
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from torch.utils.data import Dataset

from loomlab.corpus.base import Corpus
from loomlab.text.class_labels import RowLabels
from loomlab.text.label_file import LabelFile, cached_label_files
from loomlab.text.number_file import NumberFile
from loomlab.text.rows import Frame, LabelledRows
from loomlab.text.token_file import TokenFile

log = logging.getLogger("loomlab.text")


class LabelledCorpus(Corpus):
    """A corpus whose documents have labels.

    With reads="rows" a sample is one document, cut to sequence_length and padded to the longest
    of its batch, and so with reads="numbers", where labels are numbers; else its text is packed
    into windows, as that of any corpus. `given_labels` are
    the names of the labels where the option knows them; empty: those of the training rows.
    """

    labelled = True
    given_labels: tuple[str, ...] = ()

    @abc.abstractmethod
    def labels(self, split: str) -> Iterator[RowLabels]:
        """The labels of each of `documents(split)`, in the same order."""

    def _open(self, checksums: bool) -> None:
        if self.reads != "windows" and not self._opened:  # first: what is wrong is said early
            train, validation = self._labels()
            self._label_files = {"train": train, "validation": validation}
            self.label_set = train.manifest.label_set(self.sequence_length)
            if isinstance(validation, LabelFile) and not self.label_set.not_single:
                not_single = validation.manifest.not_single
                self.label_set = replace(self.label_set, not_single=not_single)
        super()._open(checksums)

    def _labels(self) -> tuple[LabelFile | NumberFile, LabelFile | NumberFile]:
        return cached_label_files(
            self.cache_dir, self.known_fingerprint(), self.documents, self.steady(self.labels),
            self.given_labels, of_words=self.tagged,
        )  # fmt: skip

    def _samples(self, split: str, max_samples: int | None) -> Dataset[Any]:
        if self.reads == "windows":
            return super()._samples(split, max_samples)
        rows = self._rows(split, Frame.of(self.hf_tokenizer, self.sequence_length), max_samples)
        if self.rank == 0 and not hasattr(self, "_validation"):  # Lightning calls setup again
            log.info(
                "%s rows: %s, of %.1f tokens on average; %s (%.1f %%) cut to %s%s",
                split, f"{len(rows):,}", rows.lengths.mean(), f"{rows.cut:,}",
                100 * rows.cut / len(rows), self.sequence_length, rows.note(),
            )  # fmt: skip
        return rows

    def _rows(self, split: str, frame: Frame, max_samples: int | None) -> LabelledRows:
        return LabelledRows(self._tokens(split), self._label_files[split], frame, max_samples)

    def _tokens(self, split: str) -> TokenFile:
        return self.train_tokens if split == "train" else self.validation_tokens

    @property
    def tokens_per_sample(self) -> float:
        """Mean tokens of a training sample, padding not counted."""
        if isinstance(self._train, LabelledRows):
            return float(self._train.lengths.mean())
        return super().tokens_per_sample

    def example(self) -> Any:
        """A batch of one row of typical length, without padding; else as for any corpus."""
        if not isinstance(self._train, LabelledRows):
            return super().example()
        rows = self._train[(self._train.typical(), 0)]
        return self.collate(cast(Any, rows)) if self.collate else rows

    def _stream_identity(self) -> dict[str, Any]:
        identity = super()._stream_identity()
        if self.reads != "windows":
            identity["labels"] = self._label_files["train"].manifest.labels_sha256
        return identity
