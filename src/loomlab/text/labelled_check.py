"""What is wrong with labelled files, found before torch is even loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loomlab.errors import InputError
from loomlab.text.class_labels import settle_names
from loomlab.text.files import files_problems
from loomlab.text.labelled_files import LabelledFiles
from loomlab.text.numbers import settle_numbers

Look = Callable[[LabelledFiles, list[str]], object]
LOOKED_THROUGH = 64 << 20  # bytes; larger files are checked when they are tokenized


def problems(settings: dict[str, Any], reads: str = "rows") -> list[str]:
    """What is wrong with the settings of corpus=labelled, as "key: what"; empty when nothing.

    reads: "rows" or "numbers" if the labels are going to be used, and so are looked at.
    """
    look = {"rows": through_names(settle_names), "numbers": _through_numbers}.get(reads)
    return problems_of(LabelledFiles, look, settings)


def through_names(settle: Callable[..., object]) -> Look:
    """Looks through labels that are names, as `settle` does."""
    return lambda source, given: settle(source.labels("train"), source.labels("validation"), given)


def _through_numbers(source: LabelledFiles, given: list[str]) -> None:
    train, validation = source.numbers("train"), source.numbers("validation")
    settle_numbers(train, validation, given, source.label_key)


def problems_of(
    files_class: type[LabelledFiles], look: Look | None, settings: dict[str, Any]
) -> list[str]:
    """As `problems`, for files of a class, whose labels `look` looks through if it is given."""
    kinds = files_class.kinds
    found = files_problems(str(settings.get("path") or ""), kinds, "path")
    if settings.get("validation_path"):
        found += files_problems(str(settings["validation_path"]), kinds, "validation_path")
    if found or look is None:
        return found
    given = [str(label) for label in settings.get("labels") or []]
    names = files_class.__dataclass_fields__.keys() & settings.keys()
    source = files_class(**{name: settings[name] for name in names})
    try:
        files = [file for part in source.files() for file in part]
        if sum(file.stat().st_size for file in files) <= LOOKED_THROUGH:
            look(source, given)
    except InputError as error:
        return [str(error) if str(error).startswith("corpus.") else f"path: {error}"]
    return []
