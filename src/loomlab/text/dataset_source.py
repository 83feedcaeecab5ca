"""A dataset in Hub layout, in a local folder or on the hub: its files, as local paths."""

import abc
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loomlab.errors import InputError, first_line
from loomlab.quoting import to_type
from loomlab.text.cache import build_once
from loomlab.text.hub import hub_answers, offline
from loomlab.text.identity import content_key, files_digest
from loomlab.text.tree import files_below

LISTING = "files.json"
log = logging.getLogger("loomlab.text")


class DatasetSource(abc.ABC):
    """Where the files of a dataset are."""

    @abc.abstractmethod
    def files(self) -> list[str]:
        """Relative paths of all files."""

    @abc.abstractmethod
    def local(self, file: str) -> Path:
        """One of the files on this machine, downloaded if need be."""

    @abc.abstractmethod
    def identity(self, files: list[str]) -> str:
        """Changes when the content of one of `files` does."""


@dataclass(frozen=True)
class LocalFolder(DatasetSource):
    """A folder that holds a dataset as its repository on the hub would."""

    path: Path

    def files(self) -> list[str]:
        """Relative paths of all files; InputError when there is no such folder."""
        if not self.path.is_dir():
            raise InputError(f"corpus.path: {self.path} is no folder: give one with parquet files")
        found = (file for file in files_below(self.path) if file.is_file())
        return sorted(file.relative_to(self.path).as_posix() for file in found)

    def local(self, file: str) -> Path:
        """The file itself."""
        return self.path / file

    def identity(self, files: list[str]) -> str:
        """Hash of the contents."""
        return files_digest([self.path / file for file in files])


@dataclass(frozen=True)
class HubDataset(DatasetSource):
    """A dataset on the hub, pinned to the commit it had when it was first asked for.

    The list of its files is kept in `cache_dir`, the files in the cache of huggingface_hub: what
    was used once is used again, without a network. A file is downloaded when it is first read.
    """

    name: str
    revision: str
    cache_dir: Path

    def is_pinned(self) -> bool:
        """Whether the list of files is on this machine."""
        return (self._folder() / LISTING).is_file()

    def files(self) -> list[str]:
        """Relative paths of all files at the pinned commit."""
        return list(self._listing()["files"])

    def local(self, file: str) -> Path:
        """The file in the cache of huggingface_hub."""
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import HTTPError  # of httpx or httpx2, by its version

        place: dict[str, Any] = {"repo_type": "dataset", "revision": self._listing()["commit"]}
        cached = try_to_load_from_cache(self.name, file, **place)
        if isinstance(cached, str):
            return Path(cached)
        self._require_hub(f"{file} of ")
        log.info("downloading %s of %s", file, self.name)
        try:
            return Path(hf_hub_download(self.name, file, endpoint=_endpoint(), **place))
        except (HTTPError, OSError) as error:
            raise InputError(
                f"corpus.name={self.name}: {file} could not be downloaded ({first_line(error)}): "
                "run again to go on where it stopped"
            ) from error

    def identity(self, files: list[str]) -> str:
        """Name, commit and files."""
        return content_key("hub", self.name, self._listing()["commit"], files)

    def _folder(self) -> Path:
        return self.cache_dir / "hub" / content_key(self.name, self.revision)

    def _listing(self) -> dict[str, Any]:
        folder = build_once(
            self._folder(),
            build=self._list,
            problem=lambda folder: None if (folder / LISTING).is_file() else f"no {LISTING}",
        )
        listing: dict[str, Any] = json.loads((folder / LISTING).read_text(encoding="utf-8"))
        return listing

    def _list(self, folder: Path) -> None:
        self._require_hub()  # before imports that take seconds
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError, HTTPError

        try:
            info = HfApi(endpoint=_endpoint()).dataset_info(self.name, revision=self.revision)
        except (HTTPError, HFValidationError, OSError) as error:
            raise InputError(
                f"corpus.name={self.name}: the hub has no such dataset, or does not give it "
                f"({first_line(error)}): check the name and corpus.revision={self.revision}"
            ) from error
        files = sorted(entry.rfilename for entry in info.siblings or [])
        listing = {"name": self.name, "commit": info.sha, "files": files}
        (folder / LISTING).write_text(json.dumps(listing, indent=1), encoding="utf-8")

    def _require_hub(self, what: str = "") -> None:
        if fault := self.out_of_reach():
            raise InputError(f"{what}{fault}")

    def out_of_reach(self) -> str | None:
        """Why nothing can be downloaded now, and what to do instead; None where it can."""
        if not offline() and hub_answers():
            return None
        is_folder = Path(self.name).is_dir()
        typed = to_type("corpus.path", self.name)
        near = f" (the folder ./{self.name} is {typed})" if is_folder else ""
        return (
            f"corpus.name={self.name} is not in the local cache and the hub cannot be "
            f"reached{near}: give a local copy with corpus=hf corpus.path=/path/to/folder, or "
            "choose corpus=gutenberg, factbook or python_stdlib"
        )


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None
