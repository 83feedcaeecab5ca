"""How loomlab refuses: the exception that reaches a user as a sentence, and its suggestions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 24  # more names than this are not spelled out


class InputError(ValueError):
    """Something the user gave is wrong: the text names it, says why and what to type instead.

    The console script prints the text alone and exits with code 2.
    """


def first_line(error: BaseException) -> str:
    """What an error of a library says, in a line; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def did_you_mean(word: str, known: Iterable[str], what: str = "") -> str:
    """The closest known word, or the list of all when it is short."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    listed = ", ".join(names) if names else "none"
    return f"{what or 'known'}: {listed}" if len(names) <= LISTED else ""
