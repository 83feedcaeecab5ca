"""One thing wrong with a config, said so that a person can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Where, what is wrong, and what to type instead."""

    path: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" + (f"; {self.fix}" if self.fix else "")


def did_you_mean(word: str, known: Iterable[str], what: str = "") -> str:
    """The closest known word, or the list of all when it is short."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    listed = ", ".join(names) if names else "none"
    return f"{what or 'known'}: {listed}" if len(names) <= 24 else ""


def report(problems: list[Problem], heading: str) -> str:
    """All problems as one message."""
    unique = list(dict.fromkeys(map(str, problems)))
    return "\n".join([heading, *(f"  - {p}" for p in unique)])
