"""Checkpoints on disk: whole or not there, and damage is found."""

import itertools
import json
import os
import random
import tempfile
import time
from pathlib import Path

import pytest
import torch
from tests.patience import PATIENCE
from tests.warm import forkserver

from loomlab.callbacks.store import BEST, LAST, MANIFEST, PREVIOUS, CheckpointStore, read_state
from loomlab.errors import InputError

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    store = CheckpointStore(tmp_path)
    for step in (10, 20):
        put(store, LAST, step)
    put(store, BEST, 15)
    return store


def put(store: CheckpointStore, name: str, step: int) -> None:
    store.partial(name).write_bytes(CONTENT + f"{name} {step}".encode())
    store.commit(name, step)


def test_newest_is_by_step(store: CheckpointStore):
    assert store.newest().path.name == LAST
    assert {n: store.step_of(n) for n in (LAST, PREVIOUS, BEST)} == {
        LAST: 20, PREVIOUS: 10, BEST: 15,
    }  # fmt: skip
    put(store, BEST, 30)
    assert store.newest().path.name == BEST, "the name does not decide"


def test_every_flipped_bit_is_found(store: CheckpointStore):
    path, drawn = store.folder / LAST, random.Random(0)
    sound = path.read_bytes()
    for place in (drawn.randrange(len(sound) * 8) for _ in range(100)):
        content = bytearray(sound)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        assert store.step_of(LAST) is None, f"bit {place}"
        assert store.newest().step == 15, "falls back to the newest that is sound"


def test_every_truncation_is_found(store: CheckpointStore, caplog: pytest.LogCaptureFixture):
    path, drawn = store.folder / LAST, random.Random(0)
    sound = path.read_bytes()
    ends = [0, 1, len(sound) - 1, *(drawn.randrange(len(sound)) for _ in range(17))]
    for kept in ends:
        path.write_bytes(sound[:kept])
        caplog.clear()
        assert store.newest().step == 15, f"{kept} bytes"
        assert f"{path} is damaged" in caplog.text
    assert len(ends) == 20


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_damaged_manifest_trusts_nothing(store: CheckpointStore, content: bytes):
    (store.folder / MANIFEST).write_bytes(content)
    assert store.newest() is None


def test_clean_removes_what_was_left_half_written(store: CheckpointStore):
    store.partial(LAST).write_bytes(b"half")
    store.clean()
    assert sorted(p.name for p in store.folder.iterdir()) == sorted(
        [LAST, PREVIOUS, BEST, MANIFEST]
    )


def test_a_state_is_on_the_disk_before_it_takes_its_name(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
):
    """A machine that loses power has no name in the folder whose content is not there."""
    done: list[str] = []
    replace, opened = Path.replace, len(os.listdir("/proc/self/fd"))

    def sync(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    def move(path: Path, target: Path) -> Path:
        done.append(f"{path.name} -> {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", move)
    put(store, BEST, 40)
    manifest = [f".{MANIFEST}.partial", f".{MANIFEST}.partial -> {MANIFEST}"]
    state = [f".{BEST}.partial -> {BEST}", store.folder.name]
    assert done == [f".{BEST}.partial", *manifest, *state, *manifest]
    assert len(os.listdir("/proc/self/fd")) == opened
    assert len(json.loads((store.folder / MANIFEST).read_text())[BEST]) == 1, (
        "not all there ever was"
    )


class Killed(BaseException):
    """The end of a process, as far as a test can have one."""


@pytest.mark.parametrize("name", [LAST, BEST])
def test_a_kill_before_any_move_leaves_no_sound_file_unknown(
    store: CheckpointStore, name: str, monkeypatch: pytest.MonkeyPatch
):
    replace, step, killed = Path.replace, 20, 0
    for kill_at in itertools.count():
        put(store, name, step + 1)
        moves, step = itertools.count(), step + 2

        def move(path: Path, target: Path, moves=moves, kill_at=kill_at) -> Path:
            if next(moves) == kill_at:
                raise Killed
            return replace(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", move)
            try:
                put(store, name, step)
            except Killed:
                killed += 1
                store.clean()
        there = [n for n in (LAST, PREVIOUS, BEST) if (store.folder / n).is_file()]
        assert None not in [store.step_of(n) for n in there]
        newest = store.newest()
        assert newest.path.read_bytes().endswith(f" {newest.step}".encode())
        assert newest.step >= step - 1
        if killed == kill_at:
            break
    assert (newest.path.name, newest.step) == (name, step)
    assert killed == (4 if name == LAST else 3)


def test_temporary_files_lie_beside_the_checkpoints(tmp_path: Path):
    store, before = CheckpointStore(tmp_path / "checkpoints"), tempfile.tempdir
    with store.writing(False):
        assert not store.folder.exists()
    with store.writing(True):
        store.partial(LAST).write_bytes(CONTENT)
        assert store.folder in Path(tempfile.mkdtemp()).parents
    assert tempfile.tempdir == before
    assert [path.name for path in store.folder.iterdir()] == [store.partial(LAST).name]
    with pytest.raises(OSError, match="full"), store.writing(True):
        raise OSError("full")
    assert tempfile.tempdir == before
    assert not list(store.folder.iterdir()), "what was begun gives its space back"


def test_what_is_no_checkpoint_of_a_run_is_refused(tmp_path: Path):
    path = tmp_path / "some.ckpt"
    for content in ([1], {"weights": torch.ones(2)}):
        torch.save(content, path)
        with pytest.raises(InputError, match=r"some\.ckpt is refused: it is no checkpoint of a"):
            read_state(path)
    for damaged in (path.read_bytes()[:-100], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"some\.ckpt is refused: it is no checkpoint, or"):
            read_state(path)
    with pytest.raises(InputError, match="is refused"):
        read_state(tmp_path / "none.ckpt")


def write_on(folder: Path) -> None:
    """Save over and over, and say so."""
    (folder / "checkpoints").mkdir()
    store = CheckpointStore(folder / "checkpoints")
    with open(folder / "said", "w") as said:
        for step in range(1, 100000):
            store.partial(LAST).write_bytes(str(step).encode() * 200000)
            store.commit(LAST, step)
            print(step, file=said, flush=True)


@pytest.mark.parametrize(
    "moment", [pytest.param(m, marks=[pytest.mark.soak] if m > 3 else []) for m in range(50)]
)
def test_a_kill_at_any_moment_leaves_a_sound_checkpoint(tmp_path: Path, moment: int):
    said = tmp_path / "said"
    process = forkserver.Process(target=write_on, args=(tmp_path,), daemon=True)
    process.start()
    end = time.monotonic() + PATIENCE
    while not (said.exists() and said.read_text().count("\n") >= 2):
        assert process.is_alive()
        assert time.monotonic() < end
        time.sleep(0.001)
    time.sleep(random.Random(moment).random() * 0.03)
    process.kill()
    process.join()
    written = [int(line) for line in said.read_text().splitlines()]
    store = CheckpointStore(tmp_path / "checkpoints")
    store.clean()
    newest = store.newest()
    assert newest is not None
    assert newest.step >= max([2, *written]) - 1, "at most the save in progress is lost"
    assert newest.path.read_bytes() == str(newest.step).encode() * 200000
    assert not list(store.folder.glob(".*"))
