"""The tokenizer of a run, kept in its folder from its start on: its text may change later."""

from __future__ import annotations

import shutil

from transformers import PreTrainedTokenizerFast

from loomlab.run.folder import RunFolder
from loomlab.tokenizer.base import Given


def keep_tokenizer(folder: RunFolder, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the tokenizer that the text of a run was cut with; whole or not at all."""
    partial = folder.path / ".tokenizer.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        tokenizer.save_pretrained(partial)
        shutil.rmtree(folder.tokenizer, ignore_errors=True)
        partial.rename(folder.tokenizer)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def kept_tokenizer(folder: RunFolder) -> Given | None:
    """The tokenizer of a run that has kept it, or that is finished."""
    for place in (folder.tokenizer, folder.model):
        if (place / "tokenizer.json").is_file():
            return Given(PreTrainedTokenizerFast.from_pretrained(place))
    return None
