"""The first process tells the others where the run is, or that there is none."""

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch.distributed as dist

from loomlab.parallelism.meeting import (
    DISTRIBUTED_VARIABLES,
    GROUP,
    Board,
    OwnEnvironment,
    given_store,
)
from loomlab.parallelism.place import Place


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    monkeypatch.delenv(GROUP, raising=False)
    yield Place("srun", 0, 0, 0, 2, 1, "127.0.0.1", port, 0, False)
    given_store.cache_clear()
    os.environ.pop(GROUP, None)


def asked(place: Place) -> tuple[threading.Thread, list[Path | int]]:
    """What another process is told, once it is told something."""
    found: list[Path | int] = []
    thread = threading.Thread(target=lambda: found.append(Board(replace(place, rank=1)).wait()))
    thread.start()
    return thread, found


def test_the_port_is_open_before_anyone_is_told(monkeypatch: pytest.MonkeyPatch):
    for name in DISTRIBUTED_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    first = OwnEnvironment()
    first.store().set("said", "here")
    monkeypatch.setenv("MASTER_PORT", str(first.main_port))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert OwnEnvironment().store().get("said") == b"here"


def test_the_folder_is_told(place: Place, tmp_path: Path):
    first = Board(place)
    thread, found = asked(place)
    assert first.home() is None
    first.announce(tmp_path)
    first.dismiss(1)
    thread.join(20)
    assert found == [tmp_path]
    assert first.home() == tmp_path


def test_the_exit_code_is_told_where_no_folder_is_to_come(place: Place):
    first = Board(place)
    thread, found = asked(place)
    first.dismiss(2)
    thread.join(20)
    assert found == [2]


def test_a_further_attempt_remembers_the_folder_only(place: Place, tmp_path: Path):
    """As under torchrun, whose agent keeps the store over all attempts."""
    served = dist.TCPStore(place.address, 0, 1, True, wait_for_workers=False)
    again = replace(place, port=served.port, port_is_served=True)
    thread, found = asked(again)
    first = Board(again)
    first.announce(tmp_path)
    thread.join(20)
    assert found == [tmp_path]
    first.answering.join(20)  # its process would be gone
    second = Board(again)
    assert second.home() == tmp_path
    thread, found = asked(again)
    second.dismiss(7)
    thread.join(20)
    assert found == [7], "the folder of the first attempt is not taken for one of this"
