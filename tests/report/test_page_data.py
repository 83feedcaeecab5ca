"""What the page of a sweep is made of."""

import base64
import csv
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.warm import run as run_loom

from loomlab.errors import InputError
from loomlab.report.page import page, write_report
from loomlab.report.page_data import LEAST, page_data
from loomlab.run.ledger import DONE, FAILED, Ledger
from loomlab.run.metrics_file import read_metrics


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


TROUBLE = """
from pathlib import Path
import pytorch_lightning as pl

class Trouble(pl.Callback):
    def __init__(self, met: str = ""):
        self.met = met

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step < 3:
            return
        try:
            Path(self.met).touch(exist_ok=False)
        except FileExistsError:
            return
        raise RuntimeError("the disk spoke in tongues")
"""


@pytest.fixture
def one_fails(tmp_path: Path) -> list[str]:
    """What makes the first job that comes to step 3 fail, and no other."""
    (tmp_path / "trouble.py").write_text(TROUBLE)
    (tmp_path / "conf" / "callbacks").mkdir(parents=True)
    (tmp_path / "conf" / "callbacks" / "trouble.yaml").write_text(
        "# @package callbacks.trouble\ndefaults: [/schema/callbacks/trouble@_here_, _self_]\n"
        f"_target_: trouble.Trouble\nmet: {tmp_path / 'met'}\n"
    )
    return ["--config-dir", str(tmp_path / "conf"), "callbacks=[trouble]"]


def unpacked(page: Path) -> dict[str, Any]:
    """The data that a browser finds in a page."""
    found = re.search(r'id="data">([^<]*)<', page.read_text())
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


@pytest.mark.parametrize(
    "axes",
    [pytest.param(["optimizer=adamw,sgd"], marks=pytest.mark.slow, id="4 jobs"),
     pytest.param(["optimizer=adamw,sgd,lion", "position=learned,rope"], marks=pytest.mark.soak,
                  id="12 jobs")],
)  # fmt: skip
def test_page_compare_and_wandb_tell_the_same_numbers(
    tiny: Callable[..., list[str]], wandb_server: Any, one_fails: list[str], tmp_path: Path,
    axes: list[str],
):  # fmt: skip
    swept, small = tmp_path / "swept", ["model.layers=1", "model.width=16", "model.heads=2"]
    given = [o for o in tiny(*small) if not o.startswith(("paths.output_dir", "callbacks"))]
    command = ["train", "-m", *one_fails, *given, *axes, "seed=1,2", "logger=wandb",
               "budget.steps=4", "launch.n_parallel=2", f"paths.sweep_dir={swept}"]  # fmt: skip
    done = run_loom(command, tmp_path, **wandb_server.environment)
    assert done.returncode == 1, done.stdout + done.stderr
    for kept in swept.glob("*/wandb/offline-run-*"):  # a busy machine started it too slowly
        sync = [str(Path(sys.executable).with_name("wandb")), "sync", str(kept)]
        subprocess.run(sync, check=True, env={**os.environ, **wandb_server.environment})
    with (swept / "results.csv").open(newline="") as file:
        compared = {Path(row["folder"]).name: row for row in csv.DictReader(file)}
    page = {run["folder"]: run for run in unpacked(swept / "report.html")["runs"]}
    arrived = {run.fields["displayName"]: run for run in wandb_server.runs.values()}
    assert len(page) == 4 * len(axes) * (len(axes) + 1) / 2
    assert page.keys() == compared.keys() == arrived.keys()
    states = [run["state"] for run in page.values()]
    assert (states.count(FAILED), states.count(DONE)) == (1, len(page) - 1)
    for name, run in page.items():
        row, sent = compared[name], arrived[name]
        assert row["state"] == run["state"]
        assert sent.exit_codes == [int(run["state"] == FAILED)]
        for axis in (axis.partition("=")[0] for axis in axes):
            assert row[axis] == run["settings"][axis] == sent.config[f"choice.{axis}"]
        assert int(row["seed"]) == run["settings"]["seed"] == sent.config["seed"]
        steps, losses = run["curves"]["train/loss"]
        history = {r["trainer/global_step"]: r["train/loss"] for r in sent.history
                   if "train/loss" in r}  # fmt: skip
        assert dict(zip(steps, losses, strict=True)) == pytest.approx(history, rel=1e-4)
        if run["state"] == FAILED:
            assert run["message"] in row["message"]
            assert "tongues" in run["message"]
            assert len(history) == len(read_metrics(swept / name / "metrics.csv")) < 4
            continue
        for metric in ("val/loss", "val/bits_per_byte", "val/perplexity", "val/accuracy"):
            numbers = float(row[metric]), sent.summary[f"best/{metric}"]
            assert numbers == pytest.approx([run["best"][metric]] * 2, rel=1e-6), metric
        for cost, told in (("parameters", "parameters"), ("seconds", "training_seconds"),
                           ("peak_memory_bytes", "peak_memory_bytes")):  # fmt: skip
            numbers = float(row[cost]), sent.summary[told]
            assert numbers == pytest.approx([run["costs"][cost]] * 2, rel=1e-6), cost
        for cost in ("tokens", "flops"):
            numbers = float(row[cost]), sent.history[-1][cost]
            assert numbers == pytest.approx([run["costs"][cost]] * 2, rel=1e-6), cost
