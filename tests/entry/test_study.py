"""`loom study`: the sweeps of a folder, drawn, and taken up again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests import warm

from loomlab.entry.cli import main
from loomlab.entry.study import run
from loomlab.run.folder import find_runs
from loomlab.run.ledger import DONE, FAILED, Ledger

SMALL = "model.layers=1 model.width=16 model.heads=2"
DRAW = """\
from loomlab.report.publish import publish
from loomlab.report.ranking import differing_axes, markdown_table


def draw(rows, output, folder):
    table = markdown_table(rows, differing_axes(rows))
    (output / "table.md").write_text(table)
    print(f"drawn from {len(rows)} runs")
    if folder is not None:
        (output / "figure.png").write_bytes(b"a picture")
        publish(folder, table, output / "figure.png")
"""
README = "# Mini\n\n<!-- results: begin -->\n<!-- results: end -->\n"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., list[str]]) -> Path:
    """experiments/mini with two sweeps, in the working directory."""
    given = " ".join(o for o in tiny() if "output_dir" not in o and "budget" not in o)
    folder = tmp_path / "experiments" / "mini"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(
        "sweeps:\n"
        f"  gpt: {given} {SMALL} position=learned,rope budget.steps=500\n"
        f"  ngram: {given} model=ngram budget.steps=500\n"
        "smoke: budget.steps=1\n"
    )
    (folder / "draw.py").write_text(DRAW)
    (folder / "README.md").write_text(README)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def forked(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study, its sweeps forked with their imports done instead of begun from nothing."""

    def start(command: list[str]) -> int:
        assert command[1:3] == ["-m", "loomlab"], command
        return warm.run(command[3:], tmp_path).returncode

    monkeypatch.setattr("loomlab.report.study.run_to_its_end", start)
    return study


@pytest.mark.slow
def test_run_reuse_and_redraw(forked: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert run(["mini", "--smoke"]) == 0
    first = capfd.readouterr().out
    assert first.count("$ loom train -m") == 2
    assert "drawn from 3 runs" in first
    output = tmp_path / "outputs" / "studies" / "mini-smoke"
    runs = find_runs(output)
    assert len(runs) == 3
    assert {r.summary()["steps"] for r in runs} == {1}, "--smoke shrinks every sweep"
    moments = [(r.path / "summary.json").stat().st_mtime_ns for r in runs]
    table = (output / "table.md").read_text()
    assert "rope" in table
    assert "ngram" in table

    assert run(["mini", "--smoke"]) == 0
    second = capfd.readouterr().out
    assert second.count("already done") == 2
    assert "$ loom train" not in second
    assert "drawn from 3 runs" in second

    (output / "table.md").unlink()
    assert run(["mini", "--smoke", "--redraw", "--publish"]) == 0
    assert (output / "table.md").read_text() == table
    assert table in (forked / "README.md").read_text()
    assert (forked / "figure.png").is_file()
    assert [(r.path / "summary.json").stat().st_mtime_ns for r in find_runs(output)] == moments


@pytest.mark.soak
def test_a_sweep_that_fails_is_told_by_the_exit_code(
    study: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """What only the data can refuse: the others are drawn, and it is run again next time."""
    (tmp_path / "short.txt").write_text("less than one window")
    (study / "study.yaml").write_text(
        (study / "study.yaml")
        .read_text()
        .replace("model=ngram", f"model=ngram corpus.path={tmp_path}/short.txt")
    )
    assert run(["mini", "--smoke"]) == 1
    assert "drawn from 2 runs" in capfd.readouterr().out
    output = tmp_path / "outputs" / "studies" / "mini-smoke"
    assert {job.state for job in Ledger(output / "gpt").jobs()} == {DONE}
    (failed,) = Ledger(output / "ngram").jobs()
    assert (failed.state, failed.error_type) == (FAILED, "InputError")
    assert "the validation part of the corpus has 0 documents" in str(failed.message)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["study", *arguments])
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert "$ loom train" not in captured.out
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.usefixtures("study")
def test_refusals_start_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "did you mean mini" in refusal(capsys, "minni")
    assert "run `loom study mini` first" in refusal(capsys, "mini", "--redraw")
    assert not (tmp_path / "outputs").exists()


def test_a_bad_second_sweep_stops_the_first(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = (study / "study.yaml").read_text().replace("model=ngram", "model=ngram optimizer.lrr=1")
    (study / "study.yaml").write_text(text)
    message = refusal(capsys, "mini")
    assert "sweep ngram of study mini" in message
    assert "optimizer.lrr" in message
    assert not (tmp_path / "outputs").exists()
