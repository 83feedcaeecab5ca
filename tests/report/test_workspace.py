"""Views of a sweep name what its runs have at W&B, as its real client sent it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loomlab.entry.dashboard import run
from loomlab.errors import InputError
from loomlab.report.workspace import as_plain, subject
from loomlab.run.ledger import PENDING, Job, Ledger

pytest.importorskip("wandb_workspaces")
METRIC = "val/bits_per_byte"


def with_wandb(folder: Path, **settings: str) -> Path:
    """A made-up sweep whose runs were logged to W&B."""
    for config in folder.glob("*/config.yaml"):
        logger = {"wandb": {"project": "loomlab", "entity": None, "group": None, **settings}}
        config.write_text(config.read_text() + json.dumps({"logger": logger})[1:-1] + "\n")
    return folder


def panels_of(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the workspace, and the same ones of the report."""
    bank = plain["workspace"]["spec"]["section"]["panelBankConfig"]["sections"]
    first = [panel for section in bank for panel in section["panels"]]
    grids = [b for b in plain["report"]["spec"]["blocks"] if b["type"] == "panel-grid"]
    second = [
        panel for grid in grids for panel in grid["metadata"]["panelBankSectionConfig"]["panels"]
    ]
    assert [(p["viewType"], p["config"]) for p in first] == [
        (p["viewType"], p["config"]) for p in second
    ]
    return first


def configs(plain: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [panel["config"] for panel in panels_of(plain) if panel["viewType"] == kind]


def test_panels_of_a_sweep(make_sweep: Callable[..., Path], tmp_path: Path):
    folder = with_wandb(make_sweep(tmp_path / "mine", done=8, pending=2))
    job = Job("late", 99, "", ["sequence_length=8"], {"sequence_length": "8"}, state=PENDING)
    Ledger(folder).add([job])
    plain = as_plain(subject(folder))
    curves = [(c["xAxis"], *c["metrics"]) for c in configs(plain, "Run History Line Plot")]
    assert curves == [
        (x, name) for name in (METRIC, "train/loss") for x in ("tokens", "flops", "seconds")
    ]
    (bars,) = configs(plain, "Bar Chart")
    assert bars["metrics"] == [f"summary_metrics.best/{METRIC}"]
    (parallel,) = configs(plain, "Parallel Coordinates Plot")
    assert [(c["accessor"], c.get("log", False)) for c in parallel["columns"]] == [
        ("config:choice.value.optimizer", False),
        ("config:optimizer.value.lr", True),
        ("config:seed.value", False),
        ("config:model.value.width", False),
        ("config:sequence_length.value", False),
        (f"summary:best/{METRIC}", False),
    ]
    costs = [c["xAxis"] for c in configs(plain, "Scatter Plot")]
    assert costs == [
        "summary:parameters", "summary:training_seconds", "summary:peak_memory_bytes"
    ]  # fmt: skip
    assert {c["yAxis"] for c in configs(plain, "Scatter Plot")} == {f"summary:best/{METRIC}"}


def test_runs_are_those_of_the_sweep_and_the_best_comes_first(
    make_sweep: Callable[..., Path], tmp_path: Path
):
    folder = with_wandb(make_sweep(tmp_path / "mine"), entity="us", project="of-config")
    (mine,) = as_plain(subject(folder))["workspace"]["spec"]["section"]["runSets"]
    assert [(f["key"]["name"], f["value"]) for f in mine["filters"]["filters"]] == [
        ("group", "mine")
    ]
    best = {"section": "summary", "name": f"best/{METRIC}"}
    assert mine["sort"]["keys"] == [{"key": best, "ascending": True}]
    of = subject(folder)
    assert (of.entity, of.project) == ("us", "of-config")
    of = subject(folder, entity="them", project="named")
    assert (of.entity, of.project) == ("them", "named")
    grouped = with_wandb(make_sweep(tmp_path / "other"), group="together")
    assert subject(grouped).group == "together"


def test_what_cannot_be_shown_is_refused(make_sweep: Callable[..., Path], tmp_path: Path):
    with pytest.raises(InputError, match="is no sweep"):
        subject(tmp_path)
    with pytest.raises(InputError, match="train with logger=wandb"):
        subject(make_sweep(tmp_path / "mine"))


# -- with the real client and a double of the server


class Views:
    """The part of W&B's server that keeps workspaces and reports."""

    def __init__(self, server: Any) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.refuses = False
        server._UpsertView2 = server._upsertView = self.upsert
        server._GetProjects = self.projects
        server._GetDefaultEntity = lambda: {"viewer": {"id": "v", "entity": "weaver"}}

    def upsert(self, spec: str, id: str | None = None, **given: Any) -> dict[str, Any]:
        if self.refuses:
            return {"upsertView": None}
        number = id or f"view{len(self.kept)}"
        self.kept[number] = {**given, "spec": json.loads(spec)}
        view = {"id": number, "name": given["name"], "spec": spec, "type": given["type"],
                "displayName": given["displayName"], "description": given["description"],
                "project": {"name": given["projectName"], "entityName": given["entityName"]},
                "createdAt": None, "updatedAt": None, "user": None}  # fmt: skip
        return {"upsertView": {"view": view, "inserted": id is None}}

    def projects(self, **_: Any) -> dict[str, Any]:
        info = {"endCursor": None, "hasNextPage": False}
        project = {"id": "p", "name": "loomlab", "entityName": "weaver", "createdAt": "2026",
                   "isBenchmark": False, "user": None}  # fmt: skip
        return {"models": {"edges": [{"node": project}], "pageInfo": info}}


@pytest.fixture
def published(
    wandb_server: Any, tiny: Callable[..., list[str]], tmp_path: Path
) -> tuple[Any, Path, Callable[..., subprocess.CompletedProcess[str]]]:
    """A sweep of two runs that the server was told of, and how to call `loom`."""
    environment = {**os.environ, **wandb_server.environment, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTEST_CURRENT_TEST", None)

    def loom(
        *arguments: str, module: str = "loomlab", **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments], env={**environment, **more},
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip

    given = [o for o in tiny() if not o.startswith(("logger=", "paths.output_dir="))]
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    varied = ["optimizer=sgd,adamw", "optimizer.lr=1e-3", f"paths.sweep_dir={tmp_path / 'mine'}"]
    done = loom("train", "-m", *given, *small, *varied)
    assert done.returncode == 0, done.stderr
    for kept in tmp_path.glob("mine/**/offline-run-*"):  # a busy machine started it too slowly
        assert loom("sync", str(kept), module="wandb").returncode == 0
    return wandb_server, tmp_path / "mine", loom


@pytest.mark.soak
def test_every_key_is_one_that_the_runs_sent_and_publishing_twice_updates(published: Any):
    server, folder, loom = published
    printed = loom("dashboard", "publish", str(folder), "--print", WANDB_API_KEY="")
    plain = json.loads(printed.stdout)
    runs = list(server.runs.values())
    (group,) = {r.fields["groupName"] for r in runs}
    (mine,) = plain["workspace"]["spec"]["section"]["runSets"]
    assert mine["filters"]["filters"][0]["value"] == group
    for sent in runs:
        for curve in configs(plain, "Run History Line Plot"):
            rows = [row for row in sent.history if {curve["xAxis"], *curve["metrics"]} <= set(row)]
            assert rows, curve
        text = json.dumps(panels_of(plain))
        for name in (f"best/{METRIC}", "parameters", "training_seconds", "peak_memory_bytes"):
            assert f'summary:{name}"' in text
            assert isinstance(sent.summary[name], int | float)
        assert sent.config["choice"]["optimizer"] == sent.config["choice.optimizer"]
    views = Views(server)
    first = loom("dashboard", "publish", str(folder))
    assert first.returncode == 0, first.stderr
    assert "workspace: " in first.stdout
    assert "report: " in first.stdout
    kinds = sorted(view["type"] for view in views.kept.values())
    assert kinds == ["project-view", "runs"]
    assert {(v["entityName"], v["projectName"]) for v in views.kept.values()} == {
        ("weaver", "loomlab")
    }
    again = loom("dashboard", "publish", str(folder))
    assert (again.stdout, len(views.kept)) == (first.stdout, 2)
    other = loom("dashboard", "publish", str(folder), "--new")
    assert (other.returncode, len(views.kept)) == (0, 4)
    views.refuses = True
    refused = loom("dashboard", "publish", str(folder))
    assert (refused.returncode, len(refused.stderr.strip().splitlines())) == (2, 1)
    assert "did not take the views of weaver/loomlab" in refused.stderr
    server.stop()
    gone = loom("dashboard", "publish", str(folder))
    assert gone.returncode == 2
    assert "cannot be reached" in gone.stderr
    server.start()


def test_without_a_key(
    make_sweep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    folder = with_wandb(make_sweep(tmp_path / "mine"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(InputError, match="run `wandb login` or set WANDB_API_KEY"):
        run(["publish", str(folder)])
    assert run(["publish", str(folder), "--print"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"workspace", "report"}
