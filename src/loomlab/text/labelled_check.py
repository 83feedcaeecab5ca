"""What is wrong with labelled files, found before torch is even loaded."""

from __future__ import annotations

from typing import Any

from loomlab.errors import InputError
from loomlab.text.class_labels import settle_names
from loomlab.text.files import files_problems
from loomlab.text.labelled_files import KINDS, LabelledFiles

LOOKED_THROUGH = 64 << 20  # bytes; larger files are checked when they are tokenized


def problems(settings: dict[str, Any], reads: str = "rows") -> list[str]:
    """What is wrong with the settings of corpus=labelled, as "key: what"; empty when nothing.

    reads: "rows" if the labels are going to be used, and so are looked at.
    """
    found = files_problems(str(settings.get("path") or ""), KINDS, "path")
    if settings.get("validation_path"):
        found += files_problems(str(settings["validation_path"]), KINDS, "validation_path")
    if found or reads != "rows":
        return found
    given = [str(label) for label in settings.get("labels") or []]
    names = LabelledFiles.__dataclass_fields__.keys() & settings.keys()
    source = LabelledFiles(**{name: settings[name] for name in names})
    try:
        files = [file for part in source.files() for file in part]
        if sum(file.stat().st_size for file in files) <= LOOKED_THROUGH:
            settle_names(source.labels("train"), source.labels("validation"), given)
    except InputError as error:
        return [str(error) if str(error).startswith("corpus.") else f"path: {error}"]
    return []
