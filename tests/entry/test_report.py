"""`loom report SWEEP`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.run.ledger import DONE, Job, Ledger


def test_writes_the_page_and_names_it(
    ended: Callable[..., tuple[int, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    Ledger(tmp_path).add([Job("k", 0, "000_a", [], {"seed": "1"}, state=DONE)])
    from loomlab.entry.report import run

    assert run([str(tmp_path)]) == 0
    path = tmp_path / "report.html"
    assert capsys.readouterr().out.strip() == str(path)
    assert path.read_text().startswith("<!doctype html>")
    assert ended("report", tmp_path) == (0, "")


@pytest.mark.parametrize("folder", ["nowhere", ""])
def test_what_is_no_sweep_is_refused(
    ended: Callable[..., tuple[int, str]], tmp_path: Path, folder: str
):
    code, said = ended("report", tmp_path / folder)
    assert code == 2
    assert "is no sweep" in said
    assert "loom train -m" in said
    assert not (tmp_path / "nowhere").exists()
