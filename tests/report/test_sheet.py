"""Tables of texts in their formats."""

import csv
import io
import re

import pytest

from loomlab.report.sheet import Sheet, comma_separated, latex, markdown, show

NASTY = ["50% of $x_1$ & {y}", "a|b\\c", 'say "hi", then\nleave', "[red]#^~<z>[/red]"]
SHEET = Sheet("100% [done]", ["a_1", "b", "c", "d"], [NASTY, ["1", "2", "3", "4"]], ["note\n%d"])


def test_csv_reads_back():
    text = comma_separated(SHEET.headings, SHEET.rows)
    assert list(csv.reader(io.StringIO(text))) == [SHEET.headings, *SHEET.rows]


def test_markdown_keeps_its_columns():
    lines = markdown(SHEET).splitlines()
    assert lines[1] == "|---|---|---|---|"
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert [len(row) for row in cells] == [4] * 4
    assert cells[2][1].strip() == r"a\|b\\c"


def test_latex_escapes_what_it_would_take_for_commands():
    text = latex(SHEET)
    row = next(line for line in text.splitlines() if line.startswith("50"))
    assert row.startswith(r"50\% of \$x\_1\$ \& \{y\} & a\textbar{}b\textbackslash{}c & ")
    assert row.endswith(r"{[}red{]}" + "\\\\") or row.endswith(r"\\")
    assert r"[red]\#\textasciicircum{}\textasciitilde{}\textless{}z\textgreater{}" in row
    bare = re.sub(r"\\[%&$#_{}]|\\text\w+\{\}|\\\\", "", row)
    assert not set(bare) & set("\\%$#_{}~^<>"), bare
    assert bare.count("&") == 3, "only what separates the columns"
    assert text.splitlines()[:2] == ["% 100% [done]", "% note %d"]
    assert text.count(r"\begin{tabular}{llll}") == text.count(r"\end{tabular}") == 1


def test_the_screen_shows_texts_as_they_are(capsys: pytest.CaptureFixture[str]):
    wide = Sheet("t [b]x[/b]", ["h" * 90, "i" * 90, "j" * 90], [["[red]", "x" * 90, "y"]], ["[n]"])
    show(wide)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "t [b]x[/b]"
    assert lines[-1].strip() == "[n]"
    assert any("[red]" in line and "x" * 90 in line for line in lines), "no cell is broken"
