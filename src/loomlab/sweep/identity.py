"""What makes a job the job it is: a hash of all that decides its result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from loomlab import __version__
from loomlab.catalog.axes import AXES, axis
from loomlab.catalog.choices import chosen
from loomlab.catalog.own_axes import own_axes
from loomlab.secrets import recordable
from loomlab.text.identity import content_key, files_digest

# What a result does not depend on; a speed axis counts where the sweep itself varies it.
APART = ("hydra", "paths", "logger", "name", "resume", "overwrite", "sweep", "launch")
SPEED = tuple(a.name for a in AXES if a.kind == "speed")
READS_FILES = ("corpus", "tokenizer", "model", "init")


def job_key(config: DictConfig, varied: Iterable[str], code: str) -> str:
    """Twenty hex digits for a composed config, without paths, loggers and speed axes.

    `varied` are the keys the sweep varies: who sweeps over precision wants a run of each. Files
    that are read (a corpus, `init`) count by their content, not by their place.
    """
    wanted = {key.split(".")[0] for key in varied}
    apart = {*APART, *SPEED, *_own_speed(config)} - (wanted - {"hydra", "paths"})
    kept: dict[str, Any] = {}
    for name in sorted(set(map(str, config)) - apart):
        node = config[name]  # resolved in its place, as it may refer to what is left out
        if axis(name) is None and OmegaConf.is_dict(node) and not node:
            continue  # a group of the user's own that is there and not chosen
        kept[name] = recordable(node) if OmegaConf.is_config(node) else node
    for name in READS_FILES:
        kept[name] = _by_content(kept.get(name))
    picks = {k: v for k, v in chosen(config).items() if k in kept}
    return content_key(kept, picks, code)


def _own_speed(config: DictConfig) -> list[str]:
    return [a.name for a in own_axes(config) if a.kind == "speed"]


def _by_content(node: Any) -> Any:
    """The same settings, with a digest of the files in place of their path."""
    if isinstance(node, dict):
        return {key: _by_content(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_by_content(value) for value in node]
    if isinstance(node, str) and "/" in node and Path(node).exists():
        return _digest(Path(node).resolve())
    return node


@cache
def _digest(path: Path) -> str:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return files_digest(files)


def code_version(folders: Iterable[Path] = ()) -> str:
    """Version of loomlab and a digest of its source, and of modules beside the user's configs."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in _sources([package, *(f.parent for f in folders)]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _sources(folders: list[Path]) -> Iterator[Path]:
    package, *users = folders
    yield from sorted(package.rglob("*.py"))
    for folder in users:
        yield from sorted(folder.glob("*.py"))
