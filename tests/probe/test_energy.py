"""Joules from counters in a folder made up for the test, and silence where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl

from loomlab.compose.composer import compose_job, composing
from loomlab.precision.fp32 import FP32
from loomlab.probe.energy import Energy
from loomlab.probe.meters import Counter, open_meters, processor_counters
from loomlab.run.assembly import assemble
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.run.prepared import record_choice
from loomlab.run.trainer import build_trainer

RUN = ["model.layers=1", "model.width=16", "model.heads=2", "probe=[energy]", "budget.steps=4"]
RANGE = 1_000_000_000  # microjoules


def zone(base: Path, folder: str, name: str, energy: int) -> Path:
    path = base / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE}\n")
    return path / "energy_uj"


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages, a part of one, and a zone that holds all."""
    base = tmp_path / "powercap"
    zone(base, "intel-rapl:0", "package-0", 0)
    zone(base, "intel-rapl:0:0", "core", 5)
    zone(base, "intel-rapl:1", "package-1", RANGE - 1_000_000)
    zone(base, "intel-rapl:2", "psys", 7)
    (base / "intel-rapl").mkdir()
    return base


class Work(pl.Callback):
    """Every batch takes 3 J of package 0 and 2 J of package 1, whose counter goes round."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def _add(self, package: int, joules: int) -> None:
        path = self.base / f"intel-rapl:{package}" / "energy_uj"
        path.write_text(str((int(path.read_text()) + joules * 1_000_000) % RANGE))

    def on_before_backward(self, *_):
        self._add(0, 3)
        self._add(1, 2)

    def on_validation_start(self, *_):
        self._add(0, 100)


def run(tiny: Callable[..., list[str]], powercap: Path, *more: str) -> tuple[RunFolder, Energy]:
    with composing():
        given = tiny(*RUN, f"probe.energy.powercap={powercap}", *more)
        config = record_choice(compose_job(given))
    folder = RunFolder(config.paths.output_dir)
    folder.create(config, [])
    parts = assemble(config, folder)
    trainer = build_trainer(config, parts, folder, FP32())
    trainer.callbacks.append(Work(powercap))
    trainer.fit(parts.objective, datamodule=parts.corpus)
    (probe,) = (c for c in trainer.callbacks if isinstance(c, Energy))
    return folder, probe


def test_joules_per_step_and_token(tiny: Callable[..., list[str]], powercap: Path):
    accumulated = ["trainer.accumulate_grad_batches=2", "trainer.log_every_n_steps=2"]
    folder, probe = run(tiny, powercap, *accumulated, "trainer.val_every_n_steps=1")
    rows = [r for r in read_metrics(folder.metrics) if "energy/joules_per_step" in r]
    assert [r["step"] for r in rows] == [2, 4]
    for row in rows:
        assert row["energy/joules_per_step"] == pytest.approx(10.0), "validation is left out"
        assert row["energy/joules_per_token"] == pytest.approx(10.0 / (4 * 16))
    said = probe.report()
    assert said["joules"] == pytest.approx(40.0)
    assert said["meters"] == ["package-0 (intel-rapl:0)", "package-1 (intel-rapl:1)"]


def test_a_counter_goes_round():
    values = iter([9.0, 9.5, 0.5, 0.75])
    counter = Counter("x", lambda: next(values), wrap=10.0)
    assert [counter.joules() for _ in range(3)] == pytest.approx([0.5, 1.0, 0.25])


def test_where_nothing_counts_it_is_said_once(
    train: Callable[..., RunFolder], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    folder = train(
        *RUN, f"probe.energy.powercap={tmp_path / 'nowhere'}", "probe.energy.nvml=false"
    )
    (line,) = [r.getMessage() for r in caplog.records if "probe energy" in r.getMessage()]
    assert f"{tmp_path / 'nowhere'} does not exist" in line
    assert not any(key.startswith("energy/") for r in read_metrics(folder.metrics) for key in r)
    assert "nowhere" in folder.summary()["reports"]["Energy"]["not_measured"]


def test_counters_that_may_not_be_read_are_named(powercap: Path, monkeypatch: pytest.MonkeyPatch):
    honest = Path.read_text

    def refuse(self: Path, *args, **kwargs):
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return honest(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    meters, reason = open_meters(powercap, nvml=False)
    assert meters is None
    assert reason.count("may be read by root alone") == 2


def test_a_folder_without_packages(tmp_path: Path):
    counters, reasons = processor_counters(tmp_path)
    assert counters == []
    assert "no intel-rapl package" in reasons[0]
