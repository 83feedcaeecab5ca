"""Several corpora as one, in given shares."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal, cast

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from loomlab.component import build_component
from loomlab.corpus.base import Corpus
from loomlab.corpus.mixture_check import EMPTY
from loomlab.errors import InputError
from loomlab.text.identity import content_key
from loomlab.text.mixing import JoinedRows, MixedRows, shares, slots
from loomlab.text.order import BatchesOfParts, SequentialBatches
from loomlab.text.token_file import Manifest

TEMPERATURES = {"proportional": 1.0, "equal": math.inf}  # the third is told its own


class Mixture(Corpus):
    """Several corpora: corpus.parts=[gutenberg,python_stdlib], in shares of the training windows.

    `weights` are the shares, in the order of the parts, and need not sum to one. Without them
    mixing=proportional takes each part by its size, equal all alike, and temperature by size to
    the power of 1 / `temperature`. An epoch is as long as all parts together: of a part with more
    than its share some comes in the next epoch, and one with less comes again. One tokenizer is
    trained on all. Held-out text is all that the parts hold out, whatever the weights, and each
    part's numbers are reported apart, as val/PART/loss. Settings of a part are
    corpus.of.PART.KEY=VALUE.
    """

    problem_check = "loomlab.corpus.mixture_check.mixture_problems"
    builds_parts = True

    def __init__(
        self,
        parts: list[str] = [],  # noqa: B006  a schema default, never changed
        weights: list[float] | None = None,
        mixing: Literal["proportional", "equal", "temperature"] = "proportional",
        temperature: Annotated[float, "[1, inf)"] = 2.0,
        of: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not parts:
            raise InputError(f"corpus.{EMPTY}")
        self.weights, self.temperature = weights, TEMPERATURES.get(mixing, temperature)
        shared = {
            name: getattr(self, name)
            for name in ("tokenizer", "sequence_length", "batch_size", "seed", "cache_dir",
                         "rank", "world_size")
        }  # fmt: skip
        masked, settings = {"document_mask": self.document_mask}, of or {}
        self.corpora: dict[str, Corpus] = {
            name: build_component({**settings[name], **masked}, Corpus, **shared)  # type: ignore
            for name in parts
        }
        self._parts_of_batches: list[int] = []

    def fetch(self) -> None:
        """Bring the text of all parts to this machine."""
        for name, corpus in self.corpora.items():
            with _part(name):
                corpus.fetch()

    def documents(self, split: str) -> Iterator[str]:
        """The documents of one part after the other."""
        for name, corpus in self.corpora.items():
            with _part(name):
                yield from corpus.steady(corpus.documents)(split)

    def fingerprint(self) -> str:
        """Hash of what the parts are, whatever their shares."""
        return content_key("mixture", *(c.known_fingerprint() for c in self.corpora.values()))

    def held_out_counts(self) -> np.ndarray:
        """How often each token is in the held-out text of all parts, (V,)."""
        return np.sum([corpus.held_out_counts() for corpus in self.corpora.values()], axis=0)

    def part_token_bytes(self) -> dict[str, Tensor]:
        """UTF-8 bytes that each token stands for in the held-out text of each part, (V,)."""
        return {name: corpus.token_bytes() for name, corpus in self.corpora.items()}

    def part_of_batch(self, number: int) -> str:
        """The part that all rows of a held-out batch are of, as they were last read."""
        return list(self.corpora)[self._parts_of_batches[number]]

    def held_out(self) -> SequentialBatches:
        """`validation_batches` of all held-out batches, evenly spread over the parts."""
        batches = super().held_out()
        self._parts_of_batches = cast(BatchesOfParts, batches).parts
        return batches

    def tokens_to_count(self, limit: int | None) -> np.ndarray:
        """Training tokens in the shares of the parts: one part after the other, from its start.

        A part that has fewer than its share comes again.
        """
        rows: MixedRows = self._train
        total = len(rows) * self.sequence_length
        wanted = slots(total if limit is None else min(limit, total), rows.sizes)
        tokens = [corpus.train_tokens.tokens for corpus in self.corpora.values()]
        return np.concatenate([np.resize(t, n) for t, n in zip(tokens, wanted, strict=True)])

    def all_held_out(self) -> BatchesOfParts:
        """Every held-out window once, no batch with rows of two parts."""
        rows: JoinedRows = self._validation
        return BatchesOfParts(rows.sizes, self.batch_size, self.rank, self.world_size)

    def _cut(self, checksums: bool) -> tuple[Manifest, Manifest]:
        cut = []
        for name, corpus in self.corpora.items():
            with _part(name):
                corpus.cut_with(self.hf_tokenizer, checksums)
            cut.append((corpus.train_manifest, corpus.validation_manifest))
        train, validation = zip(*cut, strict=True)
        return _together(train), _together(validation)

    def _samples(self, split: str, max_samples: int | None) -> Dataset[Any]:
        if self.reads != "windows":
            return super()._samples(split, max_samples)
        windows: list[Any] = []
        for name, corpus in self.corpora.items():
            with _part(name):
                windows.append(corpus._samples(split, corpus.max_samples))
            if split == "validation" and len(windows[-1]) < self.world_size:
                raise InputError(
                    f"corpus.parts: {name} has {len(windows[-1])} held-out sequences, fewer than "
                    f"the {self.world_size} processes: use fewer, or a shorter sequence_length"
                )
        if split == "validation":
            return JoinedRows(windows)
        sizes = [len(part) for part in windows]
        given = slots(
            min(sum(sizes), max_samples or sum(sizes)),
            self.weights or shares(sizes, self.temperature),
        )
        if max_samples:
            for part, count in zip(windows, given, strict=True):
                part.samples = min(part.samples, count)
        return MixedRows(windows, given, self.seed)

    def _stream_identity(self) -> dict[str, Any]:
        rows: MixedRows = self._train
        return super()._stream_identity() | {"shares of the parts": rows.sizes}


def _together(manifests: Sequence[Manifest]) -> Manifest:
    """What the token files of all parts hold together."""
    summed: dict[str, Any] = {
        key: sum(getattr(m, key) for m in manifests)
        for key in ("tokens", "documents", "bytes", "unknown_bytes")
    }
    hashed: dict[str, Any] = {
        key: content_key(*(getattr(m, key) for m in manifests))
        for key in ("tokens_sha256", "documents_sha256")
    }
    return replace(manifests[0], **summed, **hashed)


@contextmanager
def _part(name: str) -> Iterator[None]:
    """Name the part of which something is said."""
    try:
        yield
    except InputError as error:
        said = str(error).replace("corpus.", f"corpus.of.{name}.")
        raise InputError(f"corpus.parts: {name}: {said}") from error
