"""Where the results of a study go: its output folder, and its own folder once published."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from loomlab.errors import InputError

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def record(
    table: str, draw_figure: Callable[[Path], None], output: Path, study_folder: Path | None
) -> None:
    """Write table.md and figure.png; publish both where a study's folder is given."""
    (output / "table.md").write_text(table + "\n", encoding="utf-8")
    draw_figure(output / "figure.png")
    if study_folder is not None:
        publish(study_folder, table, output / "figure.png")


def publish(folder: Path, table: str, figure: Path | None = None) -> None:
    """Replace what stands between the markers of README.md, and copy the figure if there is one.

    Raises:
        InputError: the README has no markers.
    """
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise InputError(f"{readme}: has no lines {BEGIN} and {END} to put the table between")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    readme.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", encoding="utf-8")
    if figure is not None:
        shutil.copyfile(figure, folder / "figure.png")
