"""Which files of a dataset in Hub layout belong to which split and configuration."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from loomlab.errors import InputError, did_you_mean

KINDS = (".parquet", ".jsonl", ".jsonl.gz", ".json", ".json.gz")
ABOUT = ("dataset_infos.json", "dataset_info.json", "state.json", "config.json")
NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}


def split_files(
    files: Iterable[str], config: str | None, train: str, validation: str | None
) -> dict[str, list[str]]:
    """Files of "train" and "validation" (may be empty), sorted, of a dataset's relative paths.

    A file belongs to a split whose name is a word of its file name or of a folder's name:
    "data/train-00000-of-00002.parquet", "validation/0000.parquet"; where no file names any
    split, all are for training. config: the folder of a configuration. The rules are those of
    the `datasets` library, "Structure your repository".

    Raises:
        InputError: no readable file, no such configuration, several without one being chosen,
            or no file of a split that is asked for.
    """
    known = sorted(file for file in files if _is_data(file))
    if not known:
        raise InputError(f"there is no {', '.join(KINDS)} file in it")
    if parquet := [file for file in known if file.lower().endswith(".parquet")]:
        known = parquet
    kept = _of_config(known, config, train)
    found = {"train": _named(kept, train), "validation": _named(kept, validation or "")}
    if not found["train"] and not any(_named(kept, split) for split in (*NAMES, train)):
        found["train"] = [file for file in kept if file not in found["validation"]]
    for split, key in ((train, "train"), (validation, "validation")):
        if split and not found[key] and split != "validation":
            raise InputError(
                f"no file is of split {split}: set {key}_split (files: {_some(kept)})"
            )
    if config is None:
        _require_one(found["train"], train)
    return found


def _is_data(file: str) -> bool:
    """A file of rows, not one that describes the dataset, nor one in a hidden folder."""
    parts = file.split("/")
    return (
        parts[-1].lower().endswith(KINDS)
        and parts[-1] not in ABOUT
        and not any(part.startswith((".", "_")) for part in parts)
    )


def _of_config(files: list[str], config: str | None, train: str) -> list[str]:
    if config is None:
        return files
    kept = [file for file in files if file.startswith(f"{config.strip('/')}/")]
    if not kept:
        folders = {root for file in files if (root := _root(file, train))}
        raise InputError(
            f"config={config}: there is no such folder in it; "
            f"{did_you_mean(config, folders, 'folders')}"
        )
    return kept


def _require_one(files: list[str], split: str) -> None:
    roots = sorted({_root(file, split) for file in files})
    if len(roots) > 1:
        raise InputError(f"it has several configurations: set config to one of {', '.join(roots)}")


def _root(file: str, split: str) -> str:
    """The folder above the first part that names the split: that of the configuration."""
    parts = PurePosixPath(file).parts
    named = (i for i, part in enumerate(parts) if _is_of(part, split))
    return "/".join(parts[: next(named, len(parts) - 1)])


def _named(files: list[str], split: str) -> list[str]:
    return [file for file in files if any(_is_of(part, split) for part in file.split("/"))]


def _is_of(part: str, split: str) -> bool:
    if not split:
        return False
    words = "|".join(map(re.escape, NAMES.get(split, (split,))))
    return (
        re.search(rf"(?:^|[-._ 0-9])(?:{words})(?:[-._ 0-9]|$)", part, re.IGNORECASE) is not None
    )


def _some(files: list[str]) -> str:
    return ", ".join(files[:4]) + (", ..." if len(files) > 4 else "")
