"""The table of a comparison: what each cell and each note says."""

from pathlib import Path

from loomlab.report.comparison import compare
from loomlab.report.comparison_sheet import comparison_sheet, cost, difference_text, front_sheet
from loomlab.report.row import Row
from loomlab.report.settings import of_config
from loomlab.report.sheet import Sheet
from loomlab.report.statistics import Difference
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import DONE, FAILED, RUNNING

BITS = "val/bits_per_byte"


def row(
    name: str, seed: int, bits: float, state: str = DONE, message: str = "", **settings: object
) -> Row:
    config = {"data": settings, "choice": {"model": "gpt"}}
    costs = {"parameters": 1e6, "seconds": 10.0 * seed + len(name)}
    return Row(
        f"{name}{seed}", RunFolder(Path(name)), state, of_config(config), config["choice"], seed,
        BITS, {BITS: bits, "val/accuracy": bits / 10}, costs=costs, message=message,
    )  # fmt: skip


def sheet(*rows: Row, **how: object) -> Sheet:
    return comparison_sheet(compare(rows)[0], **how)  # type: ignore[arg-type]


def cells(made: Sheet) -> list[dict[str, str]]:
    return [dict(zip(made.headings, row, strict=True)) for row in made.rows]


def test_a_row_for_each_setting():
    made = sheet(row("a", 1, 2.0, x=1), row("b", 1, 1.0, x=2), row("a", 2, 3.0, x=1))
    assert made.title == "Ranked by val/bits_per_byte (less is better)"
    assert cells(made) == [
        {"rank": "1", "data.x": "2", "runs": "b1", "bits/byte": "1", "std": "-",
         "to baseline": "-1", "accuracy": "0.1", "seconds": "11.0"},
        {"rank": "2", "data.x": "1", "runs": "a1 a2", "bits/byte": "2.5", "std": "0.71",
         "to baseline": "baseline", "accuracy": "0.25", "seconds": "16.0"},
    ]  # fmt: skip
    assert made.notes == [
        "to baseline: mean difference to data.x=1 (the first with a result; --baseline takes "
        "another)",
        "the same for all: params 1,000,000",
    ]


def test_intervals_are_explained():
    rows = [row(n, s, s + (n == "b") * s / 10, x=n) for n in "ab" for s in range(1, 7)]
    made = sheet(*rows)
    assert cells(made)[1]["to baseline"].startswith("+0.35 [+0.2")
    assert cells(made)[0]["runs"] == "a1 ... a6 (6)"
    assert made.notes[1] == (
        "[ ]: 95% bootstrap interval over pairs of runs with the same seed, 10,000 resamples"
    )
    assert not any("narrower" in note for note in made.notes)
    assert any("narrower" in note for note in sheet(*rows[:3], *rows[6:9]).notes)


def test_what_is_not_paired_says_so():
    made = sheet(*(row("a", s, s, x=1) for s in (1, 2)), *(row("b", s, s, x=2) for s in (3, 4)))
    assert cells(made)[1]["to baseline"].endswith("] unpaired")
    assert any(note.startswith("unpaired: ") for note in made.notes)
    assert difference_text(None) == "-"
    assert difference_text(Difference(-0.5, -1.0, 0.25, 3, (3, 3))) == "-0.5 [-1, +0.25]"


def test_runs_that_are_not_done():
    made = sheet(
        row("a", 1, 2.0, x=1), row("a", 2, 1.0, FAILED, "OSError: no disk", x=1),
        row("b", 1, 1.5, RUNNING, x=2), row("c", 1, float("nan"), x=3),
    )  # fmt: skip
    first, diverged, running = cells(made)
    assert (first["bits/byte"], first["state"]) == ("2", "1 done, 1 failed")
    assert (diverged["bits/byte"], diverged["rank"]) == ("nan", "2")
    assert (running["bits/byte"], running["rank"], running["state"]) == ("(1.5)", "-", "1 running")
    assert made.notes[-1] == "a2 failed: OSError: no disk"
    assert any(note.startswith("( ): the best so far") for note in made.notes)
    assert any(note.startswith("nan: ") for note in made.notes)


def test_many_settings_are_named_below():
    names = [f"k{i:02d}" for i in range(12)]
    made = sheet(row("a", 1, 1.0, **dict.fromkeys(names, 1)),
                 row("b", 1, 2.0, **dict.fromkeys(names, 2)), most_settings=8)  # fmt: skip
    assert [h for h in made.headings if h.startswith("data.")] == [f"data.{n}" for n in names[:8]]
    assert any(note.startswith("4 more settings differ") and "k11" in note for note in made.notes)


def test_many_failures_are_counted():
    rows = [row("a", seed, 1.0, FAILED, "Exit: gone") for seed in range(25)]
    assert [note for note in sheet(*rows).notes if note.startswith("...")] == ["... and 5 more"]


def test_the_front_by_rising_cost():
    rows = [row("aaa", 3, 1.0, x=1), row("bb", 2, 2.0, x=2), row("c", 1, 3.0, x=3),
            row("dddd", 3, 2.5, x=4)]  # fmt: skip
    (comparison,) = compare(rows, costs=("seconds",))
    assert [line["front"] for line in cells(comparison_sheet(comparison))] == ["*", "*", "", "*"]
    assert cells(front_sheet(comparison)) == [
        {"rank": "4", "settings": "data.x=3", "bits/byte": "3", "seconds": "11.0"},
        {"rank": "2", "settings": "data.x=2", "bits/byte": "2", "seconds": "22.0"},
        {"rank": "1", "settings": "data.x=1", "bits/byte": "1", "seconds": "33.0"},
    ]


def test_costs_are_written_as_they_are_read():
    assert cost(None, "bytes") == "-"
    assert cost(1234567.0, "parameters") == "1,234,567"
    assert cost(9.106e9, "flops") == "9.11e+09"
    assert (cost(9.96, "seconds"), cost(1234.5, "seconds")) == ("10.0", "1,234")
