"""The tokenizer of a run, kept in its folder from its start on: its text may change later."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError, first_line
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


def saved_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer that is saved in a folder.

    Raises:
        InputError: its files are damaged.
    """
    try:
        loaded: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the tokenizer in {folder} cannot be loaded: {first_line(error)}"
        ) from error
    return loaded


def kept_tokenizer(folder: RunFolder) -> Given | None:
    """The tokenizer of a run that has kept it, or that is finished."""
    for place in (folder.tokenizer, folder.model):
        if (place / "tokenizer.json").is_file():
            return Given(saved_tokenizer(place))
    return None
