"""Comparisons for other tools: what is written reads back as what was measured."""

import csv
import io
import json
import math
from pathlib import Path

import pytest

from loomlab.report.collect import collect
from loomlab.report.comparison import Comparison, compare
from loomlab.report.export import FORMATS, export, export_sheet, write_results
from loomlab.report.row import Row
from loomlab.report.settings import of_config
from loomlab.report.sheet import Sheet
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import DONE, FAILED, Job, Ledger

BITS = "val/bits_per_byte"


def row(name: str, seed: int, bits: float, state: str = DONE, **settings: object) -> Row:
    picks = settings.pop("compression", [])
    config = {"my_data": settings, "choice": {"model": "gpt", "compression": picks}}
    return Row(
        f"{name}{seed}", RunFolder(Path("runs") / name), state, of_config(config),
        config["choice"], seed, BITS, {BITS: bits}, {BITS: bits + 1},
        costs={"parameters": 10, "seconds": 1.25},
        message="" if state == DONE else 'OSError: "no, disk"',
    )  # fmt: skip


@pytest.fixture
def comparisons() -> list[Comparison]:
    return compare(
        [
            row("a", 1, 2.0000000000000004, x=1e-5, compression=["lora", "int8"]),
            row("a", 2, 3.0, x=1e-5, compression=["lora", "int8"]),
            row("b", 1, 1.5, x="50% | $y_1$"),
            row("c", 1, math.nan, x=3),
            row("d", 1, 1.0, FAILED, x=4),
        ],
        costs=("parameters",),
    )


def test_csv_has_a_row_for_each_run(comparisons: list[Comparison]):
    rows = list(csv.DictReader(io.StringIO(export(comparisons, "csv"))))
    assert [r["run"] for r in rows] == ["b1", "a1", "a2", "c1", "d1"]
    first, second, _, diverged, failed = rows
    assert list(first) == [
        "rank", "run", "state", "compression", "my_data.x", "seed", BITS, "parameters", "bytes",
        "tokens", "flops", "seconds", "peak_memory_bytes", "latency_seconds", "folder", "message",
    ]  # fmt: skip
    assert float(second[BITS]) == 2.0000000000000004, "every digit"
    assert float(second["my_data.x"]) == 1e-5
    assert json.loads(second["compression"]) == ["lora", "int8"]
    assert (first["rank"], first["my_data.x"], first["bytes"]) == ("1", "50% | $y_1$", "")
    assert math.isnan(float(diverged[BITS]))
    assert (failed["rank"], failed["state"]) == ("", FAILED)
    assert failed["message"] == 'OSError: "no, disk"'


def test_json_has_groups_and_runs(comparisons: list[Comparison]):
    text = export(comparisons, "json")
    assert "NaN" not in text
    (found,) = json.loads(text)
    assert (found["kind"], found["metric"], found["more_is_better"]) == ("text", BITS, False)
    assert found["settings"] == ["compression", "my_data.x"]
    assert found["baseline"] == "compression=lora+int8 my_data.x=1e-05"
    best, seeded, diverged, failed = found["groups"]
    assert best["to_baseline"]["mean"] == pytest.approx(-0.5)
    assert (best["to_baseline"]["pairs"], best["to_baseline"]["low"]) == (1, None)
    assert seeded["settings"] == {"compression": ["lora", "int8"], "my_data.x": 1e-5}
    assert seeded["mean"] == 2.5
    assert seeded["std"] == pytest.approx(math.sqrt(0.5))
    assert [run["seed"] for run in seeded["runs"]] == [1, 2]
    assert seeded["runs"][1]["final"] == {BITS: 4.0}
    assert (diverged["mean"], diverged["runs"][0]["best"]) == (None, {BITS: None})
    assert (failed["rank"], failed["so_far"], failed["on_front"]) == (None, 1.0, False)
    assert best["on_front"]
    assert best["costs"]["seconds"] == 1.25


def test_markdown_and_latex_have_the_ranking(comparisons: list[Comparison]):
    table = export(comparisons, "md")
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 4
    assert r"50% \| $y_1$" in lines[2]
    assert "- d1 failed: OSError" in table
    made = export(comparisons, "latex")
    assert r"my\_data.x" in made
    assert r"50\% \textbar{} \$y\_1\$" in made
    assert made.count(r" \\") == 1 + 4


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_lets_a_secret_out(form: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_API_KEY", "abcdef-0123456789")
    rows = [row("a", 1, 1.0, x="see abcdef-0123456789"), row("b", 1, 1.0, x="none")]
    text = export(compare(rows), form)
    assert "abcdef" not in text
    assert "***" in text


@pytest.mark.parametrize("form", FORMATS)
def test_a_table_in_every_format(form: str):
    text = export_sheet(Sheet("t", ["setting", "a"], [["x_1", "2"]]), form)
    assert text.endswith("\n")
    assert text == {
        "csv": "setting,a\nx_1,2\n",
        "md": "| setting | a |\n|---|---|\n| x_1 | 2 |\n",
        "latex": "% t\n\\begin{tabular}{ll}\n\\toprule\nsetting & a \\\\\n\\midrule\n"
                 "x\\_1 & 2 \\\\\n\\bottomrule\n\\end{tabular}\n",
        "json": '[\n {\n  "setting": "x_1",\n  "a": "2"\n }\n]\n',
    }[form]  # fmt: skip


def test_results_of_a_sweep_in_its_folder(tmp_path: Path):
    differs = [{"seed": str(seed)} for seed in (1, 2)]
    Ledger(tmp_path).add([
        Job(f"k{i}", i, f"00{i}_job", [f"seed={d['seed']}"], d, state=state)
        for i, (d, state) in enumerate(zip(differs, (FAILED, "pending"), strict=True))
    ])  # fmt: skip
    path = write_results(tmp_path)
    assert path == tmp_path / "results.csv"
    rows = list(csv.DictReader(path.open(newline="")))
    assert [(r["run"], r["state"], r["seed"]) for r in rows] == [
        ("000", FAILED, "1"), ("001", "pending", "2")
    ]  # fmt: skip
    assert len(collect([tmp_path])) == 2
    assert write_results(tmp_path).read_text() == path.read_text()


def test_results_of_an_empty_folder_are_headings(tmp_path: Path):
    assert write_results(tmp_path).read_text().startswith("rank,run,state,seed,")
