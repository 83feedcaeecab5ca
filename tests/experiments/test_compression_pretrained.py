"""The study of a pretrained model compressed: its jobs run, and its table tells what holds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.entry.compress_source import beginning_of
from loomlab.report.study import find_study, study_rows
from loomlab.run.folder import RunFolder
from loomlab.sweep.plan import plan

Perform = Callable[[dict[str, list[str]], Path], None]


def test_its_jobs_are_about_the_shipped_model():
    words = find_study("compression_pretrained").commands(True, [])
    assert all(w[:2] == ["compress", "smollm2"] for w in words.values())
    checked = plan([*beginning_of(Path("smollm2"), []), *words["gptq"][2:]]).checked
    assert not checked.problems, checked.message()
    assert [c.compression.gptq.bits for c in checked.configs.values()] == [4, 3]


def test_orders_are_told_where_both_sides_are_known():
    script = find_study("compression_pretrained").script()
    rows = [("dense", "-", 10.0), ("50 %", "SparseGPT", 11.0), ("50 %", "Wanda", 12.0)]
    rows += [("50 %", "magnitude", 11.5), ("3 bits", "GPTQ", 12.0)]
    rows += [("3 bits", "round to nearest", 13.0), ("8 bits", "round to nearest", 10.04)]
    told = script.orders([script.Result(*row, 1e6) for row in rows]).splitlines()
    assert told == [
        "- 50 %: dense < SparseGPT < Wanda < magnitude: does not hold",
        "- 3 bits: dense < GPTQ < round to nearest: holds",
        "- 8 bits within 0.5 % of dense (+0.40%): holds",
    ]


@pytest.mark.soak
def test_it_runs_on_a_small_model(
    train: Callable[..., RunFolder],
    perform: Perform,
    tmp_path: Path,
    tiny: Callable[..., list[str]],
):
    small = ["model.layers=1", "model.width=16", "model.heads=2", "budget.steps=1"]
    source = str(train(*small, folder="source").path)
    study, output = find_study("compression_pretrained"), tmp_path / "drawn"
    output.mkdir()
    short = [o for o in tiny() if o.startswith(("corpus", "paths.cache", "sequence"))]
    commands = {
        name: ["compress", source, *(w for w in words[2:] if not w.startswith("corpus")), *short]
        for name, words in study.commands(False, []).items()
        if name in ("whole", "sparsegpt_2_4", "gptq")
    }
    perform({n: [w.replace("rows=32", "rows=2") for w in c] for n, c in commands.items()}, output)
    study.script().draw(study_rows(study, output), output, None)
    lines = (output / "table.md").read_text(encoding="utf-8").splitlines()
    named = [line.split(" | ")[:2] for line in lines[2:] if line.startswith("|")]
    assert named == [
        ["| dense", "-"], ["| 2:4", "SparseGPT"], ["| 8 bits", "round to nearest"],
        ["| 4 bits", "GPTQ"], ["| 3 bits", "GPTQ"],
    ]  # fmt: skip
    assert lines[-1].startswith("- 8 bits within 0.5 % of dense")
    assert (output / "figure.png").stat().st_size > 1000
