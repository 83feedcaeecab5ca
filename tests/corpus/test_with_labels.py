"""Labelled documents: as rows or packed, exactly resumable, killed or not."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.patience import PATIENCE
from tests.warm import WarmProcess

from loomlab.corpus.labelled import Labelled
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.text.rows import Rows
from loomlab.text.samples import Samples
from loomlab.tokenizer.byte import Byte

REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"
Opened = Callable[..., Labelled]


@pytest.fixture
def opened(cache_dir: Path) -> Opened:
    """The reviews, prepared and set up, any argument replaced."""

    def build(**changes: object) -> Labelled:
        settings = {
            "path": str(REVIEWS), "tokenizer": Byte(), "sequence_length": 40, "batch_size": 8,
            "seed": 1, "cache_dir": cache_dir, "reads": "rows",
        }  # fmt: skip
        corpus = Labelled(**{**settings, **changes})
        corpus.prepare_data()
        corpus.setup()
        return corpus

    return build


def test_rows_and_windows_share_the_token_files(opened: Opened):
    rows, windows = opened(), opened(reads="windows")
    assert rows.train_tokens.folder == windows.train_tokens.folder
    assert windows.label_set is None
    batch = next(iter(windows.train_dataloader()))
    assert isinstance(batch, Samples)
    assert batch.tokens_BU.shape == (8, 41)
    assert windows.tokens_per_sample == 40
    assert windows.samples == (len(windows.train_tokens) - 1) // 40


def test_an_epoch_holds_every_row_once_with_its_label(opened: Opened):
    corpus = opened(sequence_length=90)
    texts, labels = list(corpus.documents("train")), list(corpus.labels("train"))
    assert corpus.samples == len(texts) == 108
    assert corpus.label_set is not None
    assert corpus.label_set.names == ("bad", "good")
    assert sum(corpus.label_set.counts) == corpus.label_set.rows == 108
    seen = {}
    batches = list(islice(corpus.train_dataloader(), 14))  # 112 rows
    for batch in batches:
        assert isinstance(batch, Rows)
        assert batch.mask_BT.sum(1).max() == batch.tokens_BT.shape[1] <= 90
        for tokens, mask, hot, index, epoch in zip(
            batch.tokens_BT, batch.mask_BT, batch.labels_BC, batch.index_B, batch.epoch_B,
            strict=True,
        ):  # fmt: skip
            if epoch == 0:
                seen[int(index)] = bytes(tokens[: mask.sum() - 1].tolist()).decode()
                name = corpus.label_set.names[int(hot.argmax())]
                assert labels[int(index)].labels == (name,)
    assert [seen[n] for n in range(108)] == [text[:89] for text in texts]
    assert len({b.tokens_BT.shape[1] for b in batches}) > 1, "padding follows the batch"


def test_tokens_are_counted_without_padding(opened: Opened):
    corpus = opened()
    lengths = [min(len(text.encode()), 39) + 1 for text in corpus.documents("train")]
    assert corpus.tokens_per_sample == pytest.approx(np.mean(lengths))
    example = corpus.example()
    assert abs(example.tokens_BT.numel() - np.mean(lengths)) <= 0.5
    assert example.mask_BT.all()


@pytest.mark.parametrize("workers", [0, 2])
def test_the_stream_goes_on_where_it_was(opened: Opened, workers: int):
    def identities(corpus: Labelled, batches: int) -> list[list[int]]:
        found = islice(corpus.train_dataloader(), batches)
        return [[*b.index_B.tolist(), *b.epoch_B.tolist()] for b in found]

    whole = identities(opened(), 20)
    resumed = opened(workers=workers)
    resumed.load_state_dict({**opened().state_dict(), "consumed": 13 * 8})
    assert identities(resumed, 7) == whole[13:]


def test_processes_share_a_batch(opened: Opened):
    whole = next(iter(opened().train_dataloader()))
    parts = [
        next(iter(opened(batch_size=4, rank=r, world_size=2).train_dataloader())) for r in range(2)
    ]
    assert torch.cat([p.index_B for p in parts]).equal(whole.index_B)


def test_what_is_cut_is_said_once_for_each_split(opened: Opened, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    corpus = opened(sequence_length=32)
    corpus.setup()  # as Lightning does again
    for split, rows in (("train", 108), ("validation", 12)):
        sizes = [len(text.encode()) for text in corpus.documents(split)]
        cut = sum(size > 31 for size in sizes)  # one place is taken by the end of the text
        mean = np.mean([min(size, 31) + 1 for size in sizes])
        assert 0 < cut < rows
        assert [m for m in caplog.messages if m.startswith(f"{split} rows")] == [
            f"{split} rows: {rows}, of {mean:.1f} tokens on average; {cut} "
            f"({100 * cut / rows:.1f} %) cut to 32"
        ]
    caplog.clear()
    opened(sequence_length=32, rank=1, world_size=2)
    assert not [m for m in caplog.messages if "cut to" in m], "one process says it"


def test_held_out_rows_come_in_order(opened: Opened):
    batches = list(opened().val_dataloader())
    assert [n for batch in batches for n in batch.index_B.tolist()] == list(range(12))


SMALL = [
    "corpus=labelled", f"corpus.path={REVIEWS}", "objective=classification", "tokenizer=byte",
    "sequence_length=40", "global_batch_size=8", "logger=none",
    "callbacks=[checkpoint]", "runtime=plain", "precision=fp32", "trainer.log_every_n_steps=5",
    "model.layers=1", "model.width=16", "model.heads=2", "model.dropout=0.1",
]  # fmt: skip


def rows_of(folder: RunFolder) -> list[dict[str, float]]:
    """What metrics.csv says beside how long it took."""
    return [{k: v for k, v in r.items() if k != "seconds"} for r in read_metrics(folder.metrics)]


@pytest.fixture
def loom(warm: Callable[..., WarmProcess], tmp_path: Path) -> Callable[..., Any]:
    """Start `loom train`; from nothing where it has workers, since a user's would fork no fork."""

    def start(*overrides: str, forks: bool, stop_at: int | None = None) -> Any:
        if not forks:
            return warm(["train", *overrides], tmp_path, together=True, stop_at=stop_at)
        return subprocess.Popen(
            [sys.executable, "-m", "loomlab", "train", *overrides],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    return start


TAGGED = [
    "corpus=tagged",
    f"corpus.path={REVIEWS.with_name('words.conll')}",
    "objective=token_classification",
]
NUMBERED = [
    f"corpus.path={REVIEWS.with_name('meals.csv')}",
    "corpus.label_key=stars",
    "objective=regression",
]


@pytest.mark.parametrize(
    ("workers", "epochs", "rows"),
    [
        (0, 4, []),
        pytest.param(2, 16, [], marks=pytest.mark.soak),
        pytest.param(0, 4, TAGGED, marks=pytest.mark.slow),
        pytest.param(0, 4, NUMBERED, marks=pytest.mark.slow),
    ],
    ids=["labels", "labels-workers", "tags", "numbers"],
)
def test_a_killed_run_goes_on_as_if_nothing_had_been(
    loom: Callable[..., Any],
    tmp_path: Path,
    cache_dir: Path,
    workers: int,
    epochs: int,
    rows: list[str],
):
    """Without workers it stands still when it is killed, else it is so long that it still runs."""
    shared = [
        *SMALL, *rows, f"corpus.workers={workers}", f"paths.cache_dir={cache_dir}",
        f"budget.epochs={epochs}", f"trainer.val_every_n_epochs={epochs // 4}",
        f"callbacks.checkpoint.every_n_train_steps={epochs + epochs // 4}",
    ]  # fmt: skip
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    through = loom(*shared, f"paths.output_dir={whole.path}", forks=workers > 0)
    stop_at = None if workers else 24
    first = loom(*shared, f"paths.output_dir={killed.path}", forks=workers > 0, stop_at=stop_at)
    if stop_at:
        first.stands_still()
    end = time.monotonic() + PATIENCE
    while not (killed.checkpoints / "previous.ckpt").is_file():
        assert first.poll() is None, first.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.002)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert killed.summary()["status"] == "running"
    for run in (through, loom(f"resume={killed.path}", forks=workers > 0)):
        output, _ = run.communicate()
        assert run.returncode == 0, output
    assert rows_of(killed) == rows_of(whole)
    assert rows_of(whole)[-1]["step"] == epochs * 108 // 8  # rows in batches
    weights = [load_file(run.model / "model.safetensors") for run in (whole, killed)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert "resuming from step" in output
