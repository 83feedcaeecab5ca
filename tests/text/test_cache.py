"""Folders that are built once: all on disk before they have their name, and by one at a time."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from tests.patience import PATIENCE

from loomlab.errors import InputError
from loomlab.text import cache
from loomlab.text.cache import build_once, default_cache_dir


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for set_to, folder in (("~/c", "c"), ("d/e", "d/e"), ("", ".cache/loomlab")):
        monkeypatch.setenv("LOOM_CACHE", set_to)
        assert default_cache_dir() == tmp_path / folder
    monkeypatch.delenv("LOOM_CACHE")
    assert default_cache_dir() == tmp_path / ".cache" / "loomlab"


def test_all_is_on_disk_before_the_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A power cut could publish empty files else; and no descriptor is left open."""
    fsync, synced = os.fsync, []

    def recorded(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def build(folder: Path) -> None:
        (folder / "sub").mkdir()
        for name in ("a", "sub/b"):
            (folder / name).write_text("text")

    monkeypatch.setattr(os, "fsync", recorded)
    before = len(os.listdir("/proc/self/fd"))
    assert build_once(tmp_path / "key", build, lambda _: None) == tmp_path / "key"
    assert len(os.listdir("/proc/self/fd")) == before
    unnamed = tmp_path / "key.tmp"
    assert set(synced[:-1]) == {unnamed, unnamed / "a", unnamed / "sub", unnamed / "sub" / "b"}
    assert synced[-1] == tmp_path, "and then its name"


def test_what_is_there_is_only_read_and_what_a_killed_process_left_is_gone(tmp_path: Path):
    (tmp_path / "key.tmp").mkdir()
    (tmp_path / "key.tmp" / "old").touch()
    build_once(tmp_path / "key", lambda folder: (folder / "new").touch(), lambda _: None)
    assert [path.name for path in (tmp_path / "key").iterdir()] == ["new"]
    (tmp_path / "key.lock").unlink()
    (tmp_path / "key.lock").mkdir()  # now it cannot be locked, as where nothing can be written
    build_once(tmp_path / "key", lambda _: pytest.fail("built again"), lambda _: None)


def test_what_only_another_user_may_remove_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    (tmp_path / "key").mkdir()
    monkeypatch.setattr(cache.shutil, "rmtree", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\).*LOOM_CACHE"):
        build_once(tmp_path / "key", lambda _: None, lambda _: "damaged")


def test_what_else_goes_wrong_is_said_as_it_is_and_leaves_nothing(tmp_path: Path):
    def build(folder: Path) -> None:
        (folder / "half").touch()
        raise PermissionError("not yours")

    with pytest.raises(PermissionError, match="not yours"):
        build_once(tmp_path / "key", build, lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["key.lock"]


def test_of_two_at_once_one_builds_and_the_other_says_that_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begun, waits, built, said = Event(), Event(), [], []

    def build(folder: Path) -> None:
        built.append(folder)
        begun.set()
        assert waits.wait(PATIENCE)

    def tell(*words: object) -> None:
        said.append(words[-1])
        waits.set()

    monkeypatch.setattr(cache.log, "info", tell)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(build_once, tmp_path / "key", build, lambda _: None)
        assert begun.wait(PATIENCE)
        second = pool.submit(build_once, tmp_path / "key", build, lambda _: None)
        assert first.result(PATIENCE) == second.result(PATIENCE) == tmp_path / "key"
    assert (len(built), said) == (1, ["key"])
