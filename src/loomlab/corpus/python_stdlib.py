"""Source code that is on every machine: Python's own library."""

import hashlib
import os
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from loomlab.corpus.base import Corpus
from loomlab.text.identity import files_digest
from loomlab.text.passages import capped, held_out

EXCLUDED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}


class PythonStdlib(Corpus):
    """Source code of the Python standard library: always here, no download.

    A document is a file; tests and installed packages are left out. Files come in the order of
    a hash of their names, so that `max_bytes` takes from all over the library; every
    `validation_every`-th is held out. The text depends on the version of Python.
    """

    def __init__(
        self,
        max_bytes: Annotated[int, "[1, inf)"] = 8_000_000,
        validation_every: Annotated[int, "[2, inf)"] = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_bytes, self.validation_every = max_bytes, validation_every

    def documents(self, split: str) -> Iterator[str]:
        """Source files that are not blank, in a fixed order."""
        texts = (text for file in self.files() if (text := _source(file)).strip())
        return held_out(capped(texts, self.max_bytes), self.validation_every, split)

    def fingerprint(self) -> str:
        """Hash of the files and settings."""
        return files_digest(
            self.files(), "python_stdlib", sys.version, self.max_bytes, self.validation_every
        )

    def files(self) -> list[Path]:
        """The source files, ordered by a hash of their path inside the library."""
        root = Path(sysconfig.get_paths()["stdlib"])
        return [root / file for file in sorted(_modules(root), key=_name_hash)]


def _modules(root: Path) -> Iterator[Path]:
    """Paths inside the library; excluded folders are not entered, they can be huge."""
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in EXCLUDED]
        yield from (Path(folder, n).relative_to(root) for n in names if n.endswith(".py"))


def _name_hash(file: Path) -> str:
    return hashlib.sha256(file.as_posix().encode()).hexdigest()


def _source(file: Path) -> str:
    with tokenize.open(file) as handle:  # honours the encoding a file declares
        return handle.read()
