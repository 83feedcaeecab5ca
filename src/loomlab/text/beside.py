"""Where the tokenizer lies that weights were trained with; needs no heavy import."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT = ".ckpt"
FILES = (
    *("tokenizer.json", "vocab.json", "vocab.txt"),
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
)


def tokenizer_beside(source: Path) -> Path | None:
    """The folder of the tokenizer of a run, a model folder, a file of weights or a checkpoint.

    A run keeps the tokenizer that it cuts its text with from its start on; None: there is none.
    """
    if source.suffix == CHECKPOINT:
        run = source.parent.parent
        places = [run / "tokenizer", run / "model"]
    elif source.is_file():
        places = [source.parent]
    elif (source / "config.yaml").is_file():
        places = [source / "tokenizer", source / "model"]
    else:
        places = [source / "model", source]
    return next((p for p in places if any((p / name).is_file() for name in FILES)), None)
