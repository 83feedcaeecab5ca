"""The table of docs/reliability.md: what is typed, and what loomlab says to it.

The tests type what stands there and compare every word; /home/me is the folder of a test.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

DOC = Path(__file__).parents[1] / "docs" / "reliability.md"
HOME = "/home/me"
HEADING = "This cannot run:\n  - "


@dataclass(frozen=True)
class Row:
    """One bad input."""

    what: str
    typed: str
    said: str


def rows() -> dict[str, Row]:
    """The rows of the table by what is wrong."""
    table = DOC.read_text(encoding="utf-8").partition("<!-- bad input: begin -->")[2]
    lines = table.partition("<!-- bad input: end -->")[0].splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    found = [Row(*(cell.replace("\\|", "|").strip() for cell in c)) for c in cells if len(c) == 3]
    return {row.what: row for row in found[2:]}  # below the heading and its rule


ROWS = rows()


def typed(what: str, home: Path) -> list[str]:
    """The arguments of a row, in the folder of a test."""
    return [part.replace(HOME, str(home)) for part in shlex.split(ROWS[what].typed.strip("`"))]


def told(what: str, said: str, home: Path) -> None:
    """Assert that what was said is what the row says."""
    sentence = re.sub(r"^loom \S+: ", "", said.strip()).replace(HEADING, "")
    assert sentence.replace(str(home), HOME) == ROWS[what].said
