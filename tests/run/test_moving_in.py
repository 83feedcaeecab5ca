"""A new run has its folder to itself, and no two processes take the same."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.callbacks.store import CheckpointStore
from loomlab.errors import InputError
from loomlab.logger.wandb import run_id
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.run.moving_in import clear, new_folder, refuse_inhabited

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


def test_no_two_get_the_same_folder(tmp_path: Path):
    taken: list[Path] = []
    wanted = tmp_path / "day" / "12-00-00-gpt-clm"
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait()
        taken.append(new_folder(wanted))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = sorted(path.name for path in taken)
    assert names == sorted([wanted.name, *(f"{wanted.name}-{n}" for n in range(2, 9))])
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in taken)


def test_a_place_below_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        new_folder(tmp_path / "file" / "run")


def test_what_was_there_is_refused_or_removed_whole(
    tiny: Callable[..., list[str]], tmp_path: Path, ended: Callable[..., tuple[int, str]]
):
    """The first run is better: nothing of it may be taken for the second one's."""
    given = tiny(*SMALL, "callbacks=[checkpoint,samples]")
    assert ended("train", *given, "optimizer.lr=1e-2", "budget.steps=20")[0] == 0
    folder = RunFolder(tmp_path / "run")
    (folder.path / "console.log").write_text("kept")
    first = folder.summary()["best"]["val/loss"]
    again = [*given, "optimizer.lr=1e-9", "seed=9", "trainer.val_every_n_steps=100"]
    for verb in ("validate", "train"):
        code, said = ended(verb, *again)
        assert code == 2
        assert f"holds a run already: go on with it by `loom train resume={folder.path}`" in said
    assert folder.summary()["best"]["val/loss"] == first
    assert ended("train", *again, "overwrite=true")[0] == 0
    summary = folder.summary()
    assert summary["best"] == summary["final"]
    assert summary["best"]["val/loss"] > first
    assert [row["step"] for row in read_metrics(folder.metrics)] == [1, 2]
    assert (folder.path / "samples.txt").read_text().count("--- step 2") == 1
    assert (folder.path / "console.log").read_text() == "kept"
    assert (
        "a run goes on or is removed"
        in ended("train", f"resume={folder.path}", "overwrite=true")[1]
    )


def test_clearing_touches_runs_only(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    clear(tmp_path)
    assert (tmp_path / "notes.txt").is_file()
    refuse_inhabited(tmp_path)


def test_states_of_a_run_whose_config_is_gone_are_no_ones(tmp_path: Path):
    """Else a run that is cut off early would go on from them, and export their best."""
    store = CheckpointStore(RunFolder(tmp_path).checkpoints)
    store.folder.mkdir()
    store.partial("best.ckpt").write_bytes(b"of another run")
    store.commit("best.ckpt", 5000)
    (tmp_path / "samples.txt").write_text("of another run")
    before = run_id(tmp_path)
    with pytest.raises(InputError, match="holds a run already"):
        refuse_inhabited(tmp_path)
    clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert run_id(tmp_path) != before, "in W&B it is another run, too"


def test_a_run_that_is_removed_by_half_is_still_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("a.txt", "config.yaml", "z.txt"):
        (tmp_path / name).touch()
    removed: list[str] = []
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path: removed.append(path.name) or unlink(path))
    clear(tmp_path)
    assert sorted(removed[:2]) == ["a.txt", "z.txt"]
    assert removed[2:] == ["config.yaml"]
