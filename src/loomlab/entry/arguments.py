"""Arguments of the verbs that are no Hydra apps: argparse, with loom's manners about errors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from loomlab.errors import InputError

CONFIG_DIR = ("--config-dir", "-cd")


class Arguments(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are InputErrors: one sentence, exit code 2."""

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """As argparse's, which would ask for arguments of which there may be none."""
        if settings.get("nargs") == "*":
            settings.setdefault("default", [])
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise InputError(f"{message}; see `{self.prog} --help`")


def with_config_dirs(arguments: list[str]) -> list[str]:
    """The arguments without Hydra's --config-dir; its folder joins those of LOOM_CONF.

    Raises:
        InputError: there is no such folder.
    """
    if not any(argument.partition("=")[0] in CONFIG_DIR for argument in arguments):
        return arguments
    from loomlab.catalog.search import ENVIRONMENT_VARIABLE

    rest, given = [], iter(arguments)
    folders = [f for f in os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep) if f]
    for argument in given:
        flag, _, value = argument.partition("=")
        if flag not in CONFIG_DIR:
            rest.append(argument)
            continue
        folder = value or next(given, "")
        if not folder or not Path(folder).is_dir():
            raise InputError(f"{flag} {folder}: there is no such folder")
        folders.append(str(Path(folder).resolve()))
    os.environ[ENVIRONMENT_VARIABLE] = os.pathsep.join(folders)
    return rest


def within(low: float, high: float) -> Callable[[str], float]:
    """An argparse type for numbers of an interval, ends included."""

    def number(text: str) -> float:
        return _bounded(float(text), low, high)

    return number


def whole(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    """An argparse type for whole numbers of an interval, ends included."""

    def number(text: str) -> int:
        return int(_bounded(int(text), low, high))

    return number


def text(value: str) -> str:
    """An argparse type for text; a shell passes on bytes that are none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{value!a} is not UTF-8: convert it") from None
    return value


def _bounded(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{value} is outside [{low}, {high}]")
    return value
