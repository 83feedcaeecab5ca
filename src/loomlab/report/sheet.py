"""A table of texts, for the screen, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field, replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loomlab.secrets import masked_text

WIDE = 1000  # columns
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


@dataclass
class Sheet:
    """A title, headings, rows, and lines that explain them."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def rich_sheet(sheet: Sheet) -> Table:
    """For the screen."""
    table = Table(title=escape(sheet.title), title_justify="left")
    for heading in sheet.headings:
        table.add_column(escape(heading), overflow="fold")
    for row in sheet.rows:
        table.add_row(*map(escape, row))
    return table


def show(sheet: Sheet) -> None:
    """Print it with its notes; into a file or a pipe as wide as it needs to be."""
    console = Console(width=None if Console().is_terminal else WIDE)
    console.print(sheet.title, markup=False, highlight=False, soft_wrap=True)  # in one piece
    console.print(rich_sheet(replace(sheet, title="")))
    for note in sheet.notes:
        console.print(f"  {masked_text(note)}", markup=False, highlight=False, soft_wrap=True)


def markdown(sheet: Sheet) -> str:
    """A pipe table, without title and notes."""
    head, *rows = (
        f"| {' | '.join(map(_in_markdown, line))} |" for line in [sheet.headings, *sheet.rows]
    )
    return "\n".join([head, f"|{'---|' * len(sheet.headings)}", *rows])


def _in_markdown(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def latex(sheet: Sheet) -> str:
    """A tabular of the package booktabs, with what LaTeX would take for a command escaped."""
    lines = [" & ".join(map(_in_latex, row)) + r" \\" for row in [sheet.headings, *sheet.rows]]
    columns = "l" * len(sheet.headings)
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    notes = [f"% {' '.join(note.split())}" for note in (sheet.title, *sheet.notes)]
    return "\n".join([*notes, rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"])


def _in_latex(cell: str) -> str:
    return "".join(LATEX.get(c, c) for c in cell.replace("\n", " "))


def comma_separated(headings: list[str], rows: list[list[str]]) -> str:
    """CSV with a line of headings."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([headings, *rows])
    return text.getvalue()
