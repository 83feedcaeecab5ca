"""Arguments of the verbs that are no Hydra apps: argparse, with loom's manners about errors."""

from __future__ import annotations

import argparse
from typing import NoReturn

from loomlab.errors import InputError


class Arguments(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are InputErrors: one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise InputError(f"{message}; see `{self.prog} --help`")


def within(low: float, high: float) -> type:
    """An argparse type for numbers of an interval, ends included."""

    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is outside [{low}, {high}]")
        return value

    return number  # type: ignore[return-value]
