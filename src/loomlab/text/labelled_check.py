"""What is wrong with labelled files, found before torch is even loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loomlab.errors import InputError
from loomlab.text.class_labels import settle_names
from loomlab.text.files import files_problems
from loomlab.text.labelled_files import LabelledFiles

LOOKED_THROUGH = 64 << 20  # bytes; larger files are checked when they are tokenized


def problems(settings: dict[str, Any], reads: str = "rows") -> list[str]:
    """What is wrong with the settings of corpus=labelled, as "key: what"; empty when nothing.

    reads: "rows" if the labels are going to be used, and so are looked at.
    """
    return problems_of(LabelledFiles, settle_names, settings, reads)


def problems_of(
    files_class: type[LabelledFiles],
    settle: Callable[..., list[str]],
    settings: dict[str, Any],
    reads: str,
) -> list[str]:
    """As `problems`, for files of a class, whose labels `settle` looks through."""
    kinds = files_class.kinds
    found = files_problems(str(settings.get("path") or ""), kinds, "path")
    if settings.get("validation_path"):
        found += files_problems(str(settings["validation_path"]), kinds, "validation_path")
    if found or reads != "rows":
        return found
    given = [str(label) for label in settings.get("labels") or []]
    names = files_class.__dataclass_fields__.keys() & settings.keys()
    source = files_class(**{name: settings[name] for name in names})
    try:
        files = [file for part in source.files() for file in part]
        if sum(file.stat().st_size for file in files) <= LOOKED_THROUGH:
            settle(source.labels("train"), source.labels("validation"), given)
    except InputError as error:
        return [str(error) if str(error).startswith("corpus.") else f"path: {error}"]
    return []
