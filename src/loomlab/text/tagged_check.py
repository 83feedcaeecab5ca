"""What is wrong with files of tagged words, found before torch is even loaded."""

from __future__ import annotations

from typing import Any

from loomlab.text.class_labels import settle_tags
from loomlab.text.labelled_check import problems_of, through_names
from loomlab.text.tagged_files import TaggedFiles


def problems(settings: dict[str, Any], reads: str = "rows") -> list[str]:
    """What is wrong with the settings of corpus=tagged, as "key: what"; empty when nothing.

    reads: "rows" if the labels are going to be used, and so are looked at.
    """
    look = through_names(settle_tags) if reads == "rows" else None
    return problems_of(TaggedFiles, look, settings)
