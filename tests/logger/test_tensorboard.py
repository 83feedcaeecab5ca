"""TensorBoard event files, read back with its own reader."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.logger.tensorboard import Events, TensorBoard
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

event_accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra"
)
RUN = ["model.layers=1", "model.width=16", "model.heads=2", "logger=tensorboard"]


def events(path: Path):
    reader = event_accumulator.EventAccumulator(str(path / "tensorboard"))
    return reader.Reload()


def curve(path: Path, tag: str) -> dict[int, float]:
    return {e.step: e.value for e in events(path).Scalars(tag)}


def config_text(path: Path) -> dict:
    tensor = events(path).Tensors("config/text_summary")[0].tensor_proto
    text = tensor.string_val[0].decode()
    return yaml.safe_load("\n".join(line[4:] for line in text.splitlines()))


def test_numbers_and_config_are_in_the_events(train: Callable[..., RunFolder]):
    folder = train(*RUN, "seed=7", "budget.steps=3")
    rows = {row["step"]: row for row in read_metrics(folder.metrics)}
    for tag in ("train/loss", "train/lr", "val/bits_per_byte"):
        found = curve(folder.path, tag)
        assert found == pytest.approx({s: r[tag] for s, r in rows.items() if tag in r})
    config = config_text(folder.path)
    assert (config["seed"], config["model"]["width"]) == (7, 16)
    assert config["choice"]["logger"] == ["tensorboard"]


def test_a_resumed_run_goes_on_in_one_curve(train: Callable[..., RunFolder]):
    given = [*RUN, "callbacks=[checkpoint]", "scheduler=constant", "trainer.val_every_n_steps=1"]
    folder = train(*given, "budget.steps=3")
    train(*given, "budget.steps=5", f"resume={folder.path}")
    assert list(curve(folder.path, "train/loss")) == [1, 2, 3, 4, 5]
    assert len(list((folder.path / "tensorboard").glob("events*"))) == 2


def test_steps_beyond_the_last_checkpoint_are_dropped(tmp_path: Path):
    for part, steps in ((0.0, range(1, 6)), (10.0, range(3, 6))):
        logger = Events(tmp_path, {})
        for step in steps:
            logger.log_metrics({"loss": part + step}, step=step)
        logger.finalize("success")
    assert [(e.step, e.value) for e in events(tmp_path).Scalars("loss")] == [
        (1, 1.0), (2, 2.0), (3, 13.0), (4, 14.0), (5, 15.0),
    ]  # fmt: skip


def test_pictures_are_shown(tmp_path: Path):
    from PIL import Image

    Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8)).save(tmp_path / "black.png")
    logger = Events(tmp_path, {})
    logger.log_image("probe/x", [str(tmp_path / "black.png")], step=2)
    logger.finalize("success")
    (image,) = events(tmp_path).Images("probe/x")
    assert (image.step, image.width, image.height) == (2, 6, 4)


def test_without_the_package_the_extra_is_named(
    tiny: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "loomlab.logger.checks.find_spec", lambda n: None if n == "tensorboard" else found(n)
    )
    message = check(tiny("logger=tensorboard")).message()
    assert "logger.tensorboard" in message
    assert "loomlab[tensorboard]" in message
    with pytest.raises(InputError, match="tensorboard"):
        TensorBoard().build(run_dir=tmp_path, name="x", config={})
