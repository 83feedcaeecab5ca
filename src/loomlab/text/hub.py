"""Whether something of the Hugging Face hub can be had, answered in about a second.

The libraries alone retry an unreachable hub for 47 s before they say so.
"""

import os
from pathlib import Path

from loomlab.errors import InputError
from loomlab.reach import answers

TRUE = {"1", "on", "yes", "true"}
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt"),
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
)


def require_checkpoint(name: str) -> bool:
    """Check that the model `name` can be loaded; returns whether to use local files only.

    Raises:
        InputError: neither a folder, nor in the local cache, nor is the hub within reach.
    """
    return require_files("model.name", name, ("config.json",), "config.json and weights")


def require_tokenizer(name: str) -> bool:
    """The same of the tokenizer `name`."""
    return require_files("tokenizer.name", name, TOKENIZER_FILES, "a tokenizer.json")


def require_files(key: str, name: str, files: tuple[str, ...], content: str) -> bool:
    """Check that `name` has one of `files`, as a folder, in the local cache or on the hub."""
    if Path(name).is_dir():
        if not any(Path(name, file).is_file() for file in files):
            raise InputError(
                f"{key}: the folder {name} has no {files[0]}: "
                "give a folder written by save_pretrained."
            )
        return True
    from huggingface_hub import try_to_load_from_cache

    reachable = not offline() and hub_answers()
    if reachable or any(isinstance(try_to_load_from_cache(name, f), str) for f in files):
        return not reachable
    raise InputError(
        f"{key}={name} is no local folder, is not in the local cache, and the hub cannot be "
        f"reached: give a local folder with {content} ({key}=/path/to/folder)."
    )


def offline() -> bool:
    """Whether the environment asks to stay off the hub."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").lower() in TRUE for name in names)


def hub_answers() -> bool:
    """Whether the hub (or the proxy in front of it) accepts a connection within a second."""
    return answers(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
