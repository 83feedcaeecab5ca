"""What a corpus is: documents in, exactly resumable batches of packed windows out."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import PreTrainedTokenizerFast

from loomlab.corpus.source import Source
from loomlab.errors import InputError
from loomlab.text.label_set import LabelSet
from loomlab.text.order import SampleStream, SequentialBatches, require_batches
from loomlab.text.packing import PackedWindows
from loomlab.text.prepare import cached_token_files, cached_tokenizer, content_key
from loomlab.text.samples import Samples
from loomlab.text.token_file import Manifest, TokenFile
from loomlab.text.unknown import too_much, where_unknown
from loomlab.tokenizer.base import Tokenizer, tokenizer_hash
from loomlab.tokenizer.token_bytes import count_tokens, scaled, token_bytes

log = logging.getLogger("loomlab.text")
Read = TypeVar("Read")


class Corpus(LightningDataModule, Source):
    """Documents, cut into tokens once, cached, and read as packed windows.

    workers: processes that load batches. max_samples: use only the first so many training
    samples. document_mask: also hand out the document of each token, so that attention can stop
    at document ends. batch_size is per process and micro-step. `collate` (set from outside)
    turns Samples into a batch; without it the loaders yield Samples. reads: "windows", or "rows"
    for one document a sample, which a labelled corpus can give, or "numbers" for the same where
    labels are numbers. Without a tokenizer it only lists its documents.
    """

    def __init__(
        self,
        workers: Annotated[int, "[0, inf)"] = 0,
        max_samples: Annotated[int, "[1, inf)"] | None = None,
        document_mask: bool = False,
        *,
        cache_dir: Path,
        tokenizer: Tokenizer | None = None,
        sequence_length: int = 1,
        batch_size: int = 1,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        reads: str = "windows",
    ) -> None:
        super().__init__()
        self.reads = reads
        self.label_set: LabelSet | None = None  # of rows with labels
        self.workers, self.max_samples, self.document_mask = workers, max_samples, document_mask
        self.tokenizer, self.sequence_length = tokenizer, sequence_length
        self.batch_size, self.seed, self.cache_dir = batch_size, seed, Path(cache_dir)
        self.rank, self.world_size = rank, world_size
        self.collate: Callable[[Samples], Any] | None = None
        self.consumed = 0
        self.validation_batches: int | None = None  # that a validation reads; all without
        self._opened = False
        self.content = ""  # the fingerprint the corpus was opened with
        self.hf_tokenizer: PreTrainedTokenizerFast
        self.train_tokens: TokenFile
        self.validation_tokens: TokenFile
        self.train_manifest: Manifest  # of all that is trained on
        self.validation_manifest: Manifest
        self._resumed: dict[str, Any] = {}
        self._token_bytes: Tensor | None = None  # asked for at every validation

    # -- from documents to token files

    def prepare_data(self) -> None:
        """Fetch, train the tokenizer and tokenize, each only if it was not done before."""
        self.fetch()
        self._open(checksums=True)
        if too_much(self.unknown_share):
            log.warning(
                "tokenizer: %.1f %% of the held-out text is %s: "
                "bits per byte are too low, and the run is kept out of rankings; use "
                "tokenizer=byte_bpe, which knows every text, or a larger tokenizer.vocab_size",
                100 * self.unknown_share,
                where_unknown(self.hf_tokenizer.backend_tokenizer),
            )

    def setup(self, stage: str | None = None) -> None:
        """Open the token files; InputError when they cannot fill a sequence or a batch."""
        self.fetch()
        self._open(checksums=False)
        self._train: Any = self._samples("train", self.max_samples)
        self._validation: Any = self._samples("validation", None)
        require_batches(self.samples, self.held_out_samples, self.batch_size, self.world_size)

    @property
    def samples(self) -> int:
        """Training samples of one epoch."""
        return len(self._train)

    @property
    def held_out_samples(self) -> int:
        """Samples that are held out."""
        return len(self._validation)

    @property
    def tokens_per_sample(self) -> float:
        """Mean tokens of a training sample."""
        return float(self.sequence_length)

    def held_out_counts(self) -> np.ndarray:
        """How often each token is in the held-out text, (V,)."""
        return count_tokens(self.validation_tokens.tokens, self.vocab_size)

    def token_bytes(self) -> Tensor:
        """UTF-8 bytes that each token stands for, (V,), so that held-out text sums to its size."""
        if self._token_bytes is None:
            table = token_bytes(self.hf_tokenizer)
            size = self.validation_manifest.bytes
            self._token_bytes = torch.from_numpy(scaled(table, self.held_out_counts(), size))
        return self._token_bytes

    def part_token_bytes(self) -> dict[str, Tensor]:
        """The same of each part whose held-out numbers are reported apart."""
        return {}

    def part_of_batch(self, number: int) -> str:
        """The part that a held-out batch of this process is of; empty where there are none."""
        return ""

    def tokens_to_count(self, limit: int | None) -> np.ndarray:
        """Training tokens for a model that counts them, (N,), at most `limit`."""
        return self.train_tokens.tokens[:limit]

    def example(self) -> Any:
        """A batch whose first row is like any other, to price a step with."""
        return next(iter(self.val_dataloader()))

    def _open(self, checksums: bool) -> None:
        if self._opened:
            return
        if (tokenizer := self.tokenizer) is None:
            raise TypeError("a corpus without a tokenizer can only list its documents")
        trained = cached_tokenizer(
            self.cache_dir,
            content_key(self.known_fingerprint(), tokenizer.settings()),
            train=lambda: tokenizer.train(self.steady(self.documents)("train")),
        )
        self.cut_with(trained, checksums)
        self._opened = True

    def cut_with(self, tokenizer: PreTrainedTokenizerFast, checksums: bool) -> None:
        """Open the token files that this tokenizer makes, written first if need be."""
        self.hf_tokenizer, self.vocab_size = tokenizer, len(tokenizer)
        self._token_bytes = None
        self.train_manifest, self.validation_manifest = self._cut(checksums)
        held_out = self.validation_manifest
        self.bytes_per_token = held_out.bytes / held_out.tokens
        self.unknown_share = held_out.unknown_bytes / max(1, held_out.bytes)

    def known_fingerprint(self) -> str:
        """The fingerprint that it is opened with, taken once: all files may be read for it."""
        self.content = self.content or self.fingerprint()
        return self.content

    def steady(self, read: Callable[[str], Iterator[Read]]) -> Callable[[str], Iterator[Read]]:
        """What `read(split)` gives, refused at its end if the text is no longer what it was.

        What is made of it is kept under the fingerprint: another text must not come to lie there.
        """

        def reading(split: str) -> Iterator[Read]:
            before = self.known_fingerprint()
            yield from read(split)
            if self.fingerprint() != before:
                raise InputError(
                    "corpus: its files changed while they were read, and nothing of it was kept: "
                    "start again once nobody writes to them"
                )

        return reading

    def _cut(self, checksums: bool) -> tuple[Manifest, Manifest]:
        """What the token files of both splits hold."""
        self.train_tokens, self.validation_tokens = cached_token_files(
            self.cache_dir,
            self.known_fingerprint(),
            self.steady(self.documents),
            self.hf_tokenizer,
            tokenizer_hash(self.hf_tokenizer),
            checksums,
            self.few_documents,
        )
        return self.train_tokens.manifest, self.validation_tokens.manifest

    def _samples(self, split: str, max_samples: int | None) -> Dataset[Any]:
        if self.reads != "windows":
            raise InputError(f"corpus: {type(self).__name__} has no {self.reads}: choose another")
        tokens = self.train_tokens if split == "train" else self.validation_tokens
        windows = PackedWindows(tokens, self.sequence_length, self.document_mask, max_samples)
        windows.require_some({"train": "training"}.get(split, split))
        return windows

    # -- batches

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless batches from sample `consumed` on; the order depends on the seed alone."""
        self.check_resumed()
        stream = SampleStream(
            self.samples,
            self.batch_size,
            self.seed,
            start=lambda: self.consumed,
            rank=self.rank,
            world_size=self.world_size,
        )
        return self._loader(self._train, stream)

    def val_dataloader(self) -> DataLoader[Any]:
        """Held-out batches of this process, each once."""
        return self._loader(self._validation, self.held_out())

    def held_out(self) -> SequentialBatches:
        """`validation_batches` of all held-out batches, evenly spread."""
        batches = self.all_held_out()
        batches.thin(self.validation_batches)
        return batches

    def all_held_out(self) -> SequentialBatches:
        """Every held-out window once, in order, split over the processes."""
        return SequentialBatches(
            self.held_out_samples, self.batch_size, self.rank, self.world_size
        )

    def _loader(self, samples: Dataset[Any], batches: Sampler[Any]) -> DataLoader[Any]:
        if self.workers:
            # forked workers must not touch the encoder's threads; unset, it warns at every fork
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        return DataLoader(
            samples,
            batch_sampler=batches,
            num_workers=self.workers,
            collate_fn=cast(Callable[[list[Any]], Any], self.collate or _unchanged),
        )

    # -- resume

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Count a training batch when the Trainer takes it, not when it is read ahead."""
        if self.trainer is not None and self.trainer.training:
            self.count_batch()
        return batch

    def count_batch(self) -> None:
        """Add one global micro-batch to `consumed`; loops without a Trainer call it themselves."""
        self.consumed += self.batch_size * self.world_size

    def state_dict(self) -> dict[str, Any]:
        """Position in the stream, and what the stream was."""
        return {"consumed": self.consumed, "stream": self._stream_identity()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the saved position; checked against the data when training starts."""
        self.consumed = state_dict["consumed"]
        self._resumed = state_dict["stream"]

    def _stream_identity(self) -> dict[str, Any]:
        return {
            "tokens": self.train_manifest.tokens_sha256,
            "held-out tokens": self.validation_manifest.tokens_sha256,
            "sequence_length": self.sequence_length,
            "samples": self.samples,
            "seed": self.seed,
        }

    def check_resumed(self) -> None:
        """Refuse a position that was saved in another stream of samples."""
        now = self._stream_identity()
        changed = [name for name, value in self._resumed.items() if now[name] != value]
        if changed:
            raise InputError(
                f"the checkpoint was trained on another stream of samples ({', '.join(changed)} "
                "differ): resume with the corpus, tokenizer and seed it was made with"
            )


def _unchanged(samples: Samples) -> Samples:
    return samples
