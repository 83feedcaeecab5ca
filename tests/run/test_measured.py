"""What was measured once is not measured again in the same run."""

from collections.abc import Callable

import pytest
from omegaconf import OmegaConf

from loomlab.precision import auto
from loomlab.run.folder import RunFolder
from loomlab.run.measured import keep_measured_choices


def config() -> object:
    return OmegaConf.create({
        "runtime": {"allocator": "keep", "matmul": "auto"}, "precision": {"faster_by": 1.5}
    })  # fmt: skip


def test_kernels_and_format_of_the_first_process():
    mine = config()
    runtime = {"allocator": "default", "matmul": "medium", "threads": 1}
    keep_measured_choices(mine, {"runtime": runtime, "precision": "bf16-mixed"})
    assert mine.runtime == {"allocator": "default", "matmul": "medium"}
    assert mine.precision.measured is True


def test_a_format_that_was_chosen_is_left_alone():
    mine = OmegaConf.create({"runtime": {}, "precision": {}})
    keep_measured_choices(mine, {"precision": "bf16-mixed"})
    assert mine == {"runtime": {}, "precision": {}}


def test_a_run_goes_on_in_the_format_it_began_with(
    train: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
):
    """Whatever is measured now, with the config as it is composed."""
    given = ["model.layers=1", "model.width=16", "model.heads=2", "precision=auto",
             "callbacks=[checkpoint]", "scheduler=constant"]  # fmt: skip
    monkeypatch.setattr(auto, "bf16_speedup", lambda: 2.0)
    folder = train(*given, "budget.steps=1")
    monkeypatch.setattr(auto, "bf16_speedup", lambda: 0.5)
    train(*given, "budget.steps=2", f"resume={folder.path}")
    assert (folder.summary()["precision"], folder.summary()["steps"]) == ("bf16-mixed", 2)
