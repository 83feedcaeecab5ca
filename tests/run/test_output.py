"""The place a run is written to: enough room, and a refused run leaves it as it was."""

import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from loomlab.errors import InputError
from loomlab.run.output import (
    probe,
    require_space,
    restored_when_refused,
    withdrawn_when_refused,
)

MEGA = 10**6


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What is free on the disk: to be set."""
    usage = SimpleNamespace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    return usage


def test_weights_must_fit_as_often_as_they_will_be_there(
    free: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING, "loomlab")
    free.free = 5 * MEGA - 1
    with pytest.raises(InputError, match=r"5 MB are free, .* need at least 5 MB"):
        require_space(tmp_path, MEGA, saved_states=4)
    free.free = 13 * MEGA  # a state of Adam is three times its weights
    require_space(tmp_path, MEGA, saved_states=4)
    assert not caplog.records
    free.free = 5 * MEGA
    require_space(tmp_path, MEGA, saved_states=4)
    assert "has only 5 MB free for checkpoints" in caplog.text


def test_what_will_be_replaced_counts_as_free(free: SimpleNamespace, tmp_path: Path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(bytes(4096))
    (tmp_path / "run" / "link").symlink_to(tmp_path / "elsewhere")
    free.free = 4096
    with pytest.raises(InputError, match="are free"):
        require_space(tmp_path / "run", 4096, saved_states=1)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(bytes(4096))
    require_space(tmp_path / "run", 4096, saved_states=1)


def test_records_come_back_when_a_run_is_not_resumed_after_all(tmp_path: Path):
    for name in ("config.yaml", "overrides.json", "summary.json"):
        (tmp_path / name).write_text("before")

    def change(end: BaseException | None) -> None:
        for path in tmp_path.iterdir():
            path.write_text("other")
        if end:
            raise end

    with pytest.raises(InputError, match="no"), restored_when_refused(tmp_path):
        change(InputError("no"))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"] * 3
    with restored_when_refused(tmp_path):
        change(None)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["other"] * 3


def start(folder: Path, end: BaseException, more: str | None = None) -> None:
    """Write what a run writes before it does any work, and a file of its work; then end."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 1")
    if more:
        (folder / more).write_text("")
    raise end


@pytest.mark.parametrize("end", [InputError("no"), SystemExit(2)])
def test_a_folder_of_a_refused_run_is_gone_with_those_above_it(tmp_path: Path, end: BaseException):
    folder = tmp_path / "above" / "run"
    with pytest.raises(type(end)), withdrawn_when_refused(folder):
        start(folder, end)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("end", "more"),
    [
        (SystemExit(1), None),
        (KeyboardInterrupt(), None),
        (InputError("no"), "samples.txt"),
        (InputError("no"), "checkpoints/last.ckpt"),
    ],
)
def test_what_is_no_refusal_or_comes_after_work_takes_nothing_away(
    tmp_path: Path, end: BaseException, more: str | None
):
    with pytest.raises(type(end)), withdrawn_when_refused(tmp_path / "run"):
        start(tmp_path / "run", end, more)
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_what_was_there_stays(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="no"), withdrawn_when_refused(tmp_path / "run"):
        start(tmp_path / "run", InputError("no"))
    assert os.listdir(tmp_path / "run") == ["notes.txt"]


def test_a_place_is_tried_without_a_trace(tmp_path: Path):
    probe(tmp_path / "new" / "run", "paths.output_dir")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"paths\.output_dir=.*run cannot be written \(.*is a fi"):
        probe(tmp_path / "file" / "run", "paths.output_dir")
