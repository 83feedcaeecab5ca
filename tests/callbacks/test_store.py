"""Checkpoints on disk: whole or not there, and damage is found."""

import os
import random
import time
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.warm import forkserver

from loomlab.callbacks.store import BEST, LAST, MANIFEST, PREVIOUS, CheckpointStore

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


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_every_truncation_is_found(store: CheckpointStore, kept: float, caplog):
    path = store.folder / LAST
    os.truncate(path, int(path.stat().st_size * kept))
    assert store.newest().step == 15
    assert LAST in caplog.text


def test_damaged_manifest_trusts_nothing(store: CheckpointStore):
    (store.folder / MANIFEST).write_text("{")
    assert store.newest() is None


def test_clean_removes_what_was_left_half_written(store: CheckpointStore):
    store.partial(LAST).write_bytes(b"half")
    store.clean()
    assert sorted(p.name for p in store.folder.iterdir()) == sorted(
        [LAST, PREVIOUS, BEST, MANIFEST]
    )


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
