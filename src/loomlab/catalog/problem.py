"""One thing wrong with a config, said so that a person can mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Where, what is wrong, and what to type instead."""

    path: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" + (f"; {self.fix}" if self.fix else "")


def report(problems: list[Problem], heading: str) -> str:
    """All problems as one message."""
    unique = list(dict.fromkeys(map(str, problems)))
    return "\n".join([heading, *(f"  - {p}" for p in unique)])
