"""A profile of a few steps: the table, the trace, and what the screen shows; debug=profile."""

import json
import logging
from collections.abc import Callable

import pytest

from loomlab.run.folder import RunFolder

MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]


def steps_in(folder: RunFolder) -> int:
    trace = json.loads((folder.path / "profile_trace.json").read_text())
    names = [event.get("name", "") for event in trace["traceEvents"]]
    return sum(name.startswith("Optimizer.step") for name in names)


def test_debug_profile(debug: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "loomlab")
    folder = debug("profile", *MODEL)
    text = (folder.path / "profile.txt").read_text()
    assert text.startswith("3 steps from step 4 on")
    assert "Self CPU" in text
    assert "CPU Mem" in text
    assert any(name in text for name in ("aten::addmm", "aten::mm"))
    assert steps_in(folder) == 3
    (shown,) = [r.getMessage() for r in caplog.records if "profile.txt" in r.getMessage()]
    operations = [
        line for line in shown.splitlines() if line.strip().endswith(tuple("0123456789"))
    ]
    assert len(operations) == 10
    assert not any("nothing was profiled" in r.getMessage() for r in caplog.records)
    assert folder.summary()["steps"] == 6
    assert folder.summary()["choice"]["callbacks"] == ["profile"]


def test_a_validation_is_kept_out(train: Callable[..., RunFolder]):
    given = ["callbacks=[profile]", "callbacks.profile.warmup=1", "callbacks.profile.memory=false"]
    folder = train(*MODEL, *given, "budget.steps=4", "trainer.val_every_n_steps=2")
    assert (folder.path / "profile.txt").read_text().startswith("1 steps from step 2 on")
    assert steps_in(folder) == 1


def test_a_run_that_is_too_short_says_so(
    train: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture
):
    folder = train(*MODEL, "callbacks=[profile]", "budget.steps=2")
    assert not (folder.path / "profile.txt").exists()
    assert any("ended within its warm-up of 3 steps" in r.getMessage() for r in caplog.records)
