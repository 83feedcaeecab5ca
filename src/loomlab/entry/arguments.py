"""Arguments of the verbs that are no Hydra apps: argparse, with loom's manners about errors."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from loomlab.errors import InputError


class Arguments(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are InputErrors: one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise InputError(f"{message}; see `{self.prog} --help`")


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
