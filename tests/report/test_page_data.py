"""What the page of a sweep is made of."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.report.page import page, write_report
from loomlab.report.page_data import LEAST, page_data
from loomlab.run.ledger import Ledger


def test_runs_in_every_state(make_sweep: Callable[..., Path], tmp_path: Path):
    folder = make_sweep(tmp_path / "sweep", done=8, failed=1, running=1, pending=1)
    data = page_data(folder)
    assert data["states"] == {"done": 8, "failed": 1, "running": 1, "pending": 1}
    assert data["metrics"][0] == {"name": "val/bits_per_byte", "more": False}
    done, failed, running, pending = (data["runs"][i] for i in (0, 8, 9, 10))
    assert done["best"]["val/bits_per_byte"] > 1
    assert done["settings"]["optimizer.lr"] == 0.0001
    assert failed["log_tail"].endswith("not enough memory")
    assert running["best"]["val/loss"] > 1, "the best so far"
    assert running["costs"]["tokens"] > 0
    assert pending["curves"] == {}
    assert data["logged"][0] in ("val/bits_per_byte", "val/loss")


def test_importance_counts_finished_runs_only(make_sweep: Callable[..., Path], tmp_path: Path):
    folder = make_sweep(tmp_path / "sweep", done=20, failed=3)
    (first, *rest) = page_data(folder)["importance"]["val/bits_per_byte"]
    assert first["setting"] == "optimizer"
    assert first["runs"] == 20
    told = {i["setting"]: i["share"] for i in [first, *rest]}
    assert told["seed"] is None, "it was not varied among the finished ones"


def test_100_runs_stay_below_5_mb(make_sweep: Callable[..., Path], tmp_path: Path):
    data = page_data(make_sweep(tmp_path / "sweep", done=100, rows=500))
    series = [curve for run in data["runs"] for curve in run["curves"].values()]
    assert max(len(steps) for steps, _ in series) <= data["points"]
    assert data["points"] > LEAST
    assert len(page(data)) < 5e6


def test_what_is_not_finite_does_not_break_the_page(
    make_sweep: Callable[..., Path], tmp_path: Path
):
    folder = make_sweep(tmp_path / "sweep", done=2)
    path = folder / Ledger(folder).jobs()[0].folder / "summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps({**summary, "best": {"val/loss": float("nan")}}))
    data = page_data(folder)
    assert data["runs"][0]["best"] == {"val/loss": None}
    page(data)


def test_a_damaged_run_does_not_cost_the_report(make_sweep: Callable[..., Path], tmp_path: Path):
    folder = make_sweep(tmp_path / "sweep", done=3)
    first, second, _ = (folder / job.folder for job in Ledger(folder).jobs())
    (first / "summary.json").write_bytes(b"\xff{")
    (second / "metrics.csv").write_bytes(b"\xff\x00,step\n1,2,3\n\n")
    (second / "samples.jsonl").write_bytes(b"\xff\n[]\n{}\n")
    data = page_data(folder)
    assert data["runs"][0]["best"]["val/loss"] > 1, "from its metrics.csv"
    assert data["runs"][1]["curves"] == {}
    assert data["runs"][1]["samples"] == []
    page(data)


def test_secrets_in_logs_are_masked(
    make_sweep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = make_sweep(tmp_path / "sweep", done=1, failed=1)
    key = "hf_" + "abcdefghij" * 4
    monkeypatch.setenv("HF_TOKEN", key)
    ledger = Ledger(folder)
    ledger.update(ledger.jobs()[1].key, log_tail=f"token {key} refused", message=key)
    ledger.define({"arguments": ["optimizer=adamw", f"corpus.token={key}"]})
    text = json.dumps(page_data(folder))
    assert key not in text
    assert "corpus.token=***" in text


def test_a_sweep_that_has_not_begun(make_sweep: Callable[..., Path], tmp_path: Path):
    data = page_data(make_sweep(tmp_path / "sweep", done=0, pending=2))
    assert data["metrics"] == []
    assert [run["best"] for run in data["runs"]] == [{}, {}]
    assert "2 pending" not in page(data), "the data is packed, not HTML"


@pytest.mark.slow
def test_the_report_is_written_without_torch(make_sweep: Callable[..., Path], tmp_path: Path):
    folder = make_sweep(tmp_path / "sweep")
    code = (
        "import sys\nfrom loomlab.report.page import write_report\n"
        f"path = write_report({str(folder)!r})\n"
        "print(path, 'torch' in sys.modules, 'plotly' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == [str(folder / "report.html"), "False", "False"], done.stderr
    assert (folder / "report.html").stat().st_mode & 0o077 == 0


def test_a_folder_that_is_no_sweep_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="is no sweep"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == [], "asking leaves nothing behind"
