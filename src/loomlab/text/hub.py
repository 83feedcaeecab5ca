"""Whether something of the Hugging Face hub can be had, answered in about a second.

The libraries alone retry an unreachable hub for 47 s before they say so.
"""

import json
import os
import re
from pathlib import Path

from loomlab.errors import InputError, first_line
from loomlab.reach import answers

HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
CHECKPOINT = "config.json and weights"
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
    return require_files("model.name", name, ("config.json",), CHECKPOINT)


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
    reachable = not offline() and hub_answers()
    if reachable or any(cached(name, file) for file in files):
        return not reachable
    raise InputError(
        f"{key}={name} is no local folder, is not in the local cache, and the hub cannot be "
        f"reached: give a local folder with {content} ({key}=/path/to/folder)."
    )


def is_hub_name(text: str) -> bool:
    """Whether a text can name something on the hub: owner/name, and no folder is called owner."""
    return bool(HUB_NAME.fullmatch(text)) and not Path(text).parent.exists()


def cached(name: str, file: str = "config.json") -> Path | None:
    """A file of `name` on the hub where it lies in the local cache, if it does."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, file)
    return Path(found) if isinstance(found, str) else None


def fetched(key: str, name: str, weights: tuple[str, ...] = ()) -> Path:
    """The folder in the local cache with config.json and the first file of `weights` there is.

    One that ends in .index.json comes with those that it names. Nothing is fetched twice, and
    nothing at all where the hub is out of reach.

    Raises:
        InputError: it is not there, or cannot be had.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    local = require_files(key, name, ("config.json",), CHECKPOINT)

    def fetch(file: str) -> Path:
        return Path(hf_hub_download(name, file, local_files_only=local))

    try:
        folder = fetch("config.json").parent
        for file in weights:
            try:
                path = fetch(file)
            except EntryNotFoundError:
                continue
            if file.endswith(".index.json"):
                told = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
                for part in sorted(set(told.values())):
                    fetch(part)
            break
    except (HfHubHTTPError, HFValidationError, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{key}={name} does not exist as a folder, and cannot be had from the hub "
            f"({first_line(error)}): give a local folder with {CHECKPOINT}"
        ) from error
    return folder


def offline() -> bool:
    """Whether the environment asks to stay off the hub."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").lower() in TRUE for name in names)


def hub_answers() -> bool:
    """Whether the hub (or the proxy in front of it) accepts a connection within a second."""
    return answers(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
