"""`loom wandb-sweep`: a file on the screen or on disk, that the real `wandb agent` works by."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from loomlab.entry.wandb_sweep import run
from loomlab.run.folder import RunFolder

Ended = Callable[..., tuple[int, str]]


def test_prints_the_file(capsys: pytest.CaptureFixture[str]):
    assert run(["seed=1,2", "name=b"]) == 0
    file = yaml.safe_load(capsys.readouterr().out)
    assert file["parameters"] == {"seed": {"values": [1, 2]}}
    assert file["command"][:4] == ["${env}", "loom", "train", "name=b"]


def test_writes_it_between_overrides(ended: Ended, tmp_path: Path):
    (tmp_path / "more").mkdir()
    flags = ("--output", tmp_path / "sweep.yaml", "--config-dir", tmp_path / "more")
    assert ended("wandb-sweep", "seed=1,2", *flags, "budget.steps=5") == (0, "")
    file = yaml.safe_load((tmp_path / "sweep.yaml").read_text())
    assert file["command"][3:6] == ["--config-dir", str(tmp_path / "more"), "budget.steps=5"]


def test_refusals(ended: Ended, tmp_path: Path):
    code, said = ended("wandb-sweep", "seed=1,2", "launch=local")
    assert (code, len(said.strip().splitlines())) == (2, 1)
    assert said.startswith("loom wandb-sweep: launch says how loom runs a sweep")
    code, said = ended("wandb-sweep", "seed=1,2", "--output", tmp_path / "no" / "sweep.yaml")
    assert code == 2
    assert "cannot be written: No such file or directory" in said


class Sweeps:
    """The part of W&B's server that draws the runs of a grid and hands them to an agent."""

    def __init__(self, server: Any) -> None:
        self.server, self.config, self.handed = server, "", 0
        for operation in (self.UpsertSweep, self.SweepWithRuns, self.CreateAgent, self.Heartbeat):
            setattr(server, f"_{operation.__name__}", operation)

    def UpsertSweep(self, config: str, projectName: str, **_: Any) -> dict[str, Any]:
        self.config = config
        place = {"id": "p", "name": projectName, "entity": {"id": "e", "name": "weaver"}}
        sweep = {"name": "s1", "project": place}
        return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}

    def SweepWithRuns(self, **_: Any) -> dict[str, Any]:
        sweep = {"id": "s1", "name": "s1", "config": self.config, "runs": {"edges": []}}
        return {"project": {"sweep": sweep}}

    def CreateAgent(self, **_: Any) -> dict[str, Any]:
        return {"createAgent": {"agent": {"id": "a1"}}}

    def Heartbeat(self, runState: str, **_: Any) -> dict[str, Any]:
        commands = []
        if not json.loads(runState):
            file = yaml.safe_load(self.config)
            sides = [p["values"] for p in file["parameters"].values()]
            grid = [dict(zip(file["parameters"], draw, strict=True))
                    for draw in itertools.product(*sides)]  # fmt: skip
            commands = [{"type": "exit"}]
            if self.handed < len(grid):
                args = {key: {"value": value} for key, value in grid[self.handed].items()}
                commands = [{"type": "run", "program": file["program"], "args": args,
                             "run_id": f"r{self.handed}"}]  # fmt: skip
                self.handed += 1
        return {"agentHeartbeat": {"agent": {"id": "a1"}, "commands": json.dumps(commands)}}


@pytest.mark.soak
def test_real_agent_trains_what_the_file_says(
    wandb_server: Any, tiny: Callable[..., list[str]], tmp_path: Path
):
    sweeps = Sweeps(wandb_server)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "loom"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m loomlab "$@"\n')
    script.chmod(0o755)
    path = os.pathsep.join([str(script.parent), str(Path(sys.executable).parent)])
    environment = {**os.environ, **wandb_server.environment, "OMP_NUM_THREADS": "1",
                   "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}  # fmt: skip
    environment.pop("PYTEST_CURRENT_TEST", None)

    def call(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True,
                              text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    given = [o for o in tiny() if not o.startswith(("logger=", "paths.output_dir="))]
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    varied = ["optimizer=sgd,adamw", "optimizer.lr=1e-3", "compression=[lora]"]
    call("loom", "wandb-sweep", *given, *small, *varied, "--output", "sweep.yaml")
    assert "wandb agent weaver/loomlab/s1" in call("wandb", "sweep", "sweep.yaml")
    said = call("wandb", "agent", "weaver/loomlab/s1")
    for kept in tmp_path.glob("outputs/**/offline-run-*"):  # a busy machine started it too slowly
        call("wandb", "sync", str(kept))
    assert sweeps.handed == len(wandb_server.runs) == 2, said
    metric = yaml.safe_load(sweeps.config)["metric"]["name"]
    for number, optimizer in enumerate(("sgd", "adamw")):
        arrived = wandb_server.runs[f"r{number}"]
        summary = RunFolder(tmp_path / "outputs" / "wandb" / "s1" / f"r{number}").summary()
        assert summary["choice"]["optimizer"] == arrived.config["choice.optimizer"] == optimizer
        assert summary["choice"]["compression"] == ["lora"]
        assert arrived.summary[metric] == summary["best"][metric.removeprefix("best/")]
