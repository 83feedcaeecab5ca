"""The page as `loom dash` serves it: what happens in the sweep is seen without a reload."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loomlab.errors import InputError
from loomlab.report.served import PageServer
from loomlab.run.ledger import DONE, RUNNING, Ledger


@pytest.fixture
def sweep(make_sweep: Callable[..., Path], tmp_path: Path) -> Path:
    return make_sweep(tmp_path / "sweep", done=2, running=1, rows=3)


@pytest.fixture
def server(sweep: Path) -> Iterator[PageServer]:
    with PageServer(sweep) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def fetch(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.status, answer.read().decode()


def test_data_are_sent_when_something_has_changed(server: PageServer, sweep: Path):
    stamps = []

    def newer() -> dict[str, Any] | None:
        code, text = fetch(f"{server.url}data?since={stamps[-1] if stamps else ''}")
        assert (code == 204) == (text == "")
        found = json.loads(text) if text else None
        if found:
            stamps.append(found["stamp"])
        return found

    first = newer()
    assert first
    assert [run["state"] for run in first["runs"]] == [DONE, DONE, RUNNING]
    assert newer() is None
    ledger = Ledger(sweep)
    last = ledger.jobs()[2]
    ledger.beat(last.key)
    assert newer() is None, "that a job is alive is not shown"
    with (sweep / last.folder / "metrics.csv").open("a") as file:
        file.write("40,1,1,1,9,9,9,9,9,0.5\n")
    found = newer()
    assert found
    assert found["runs"][2]["best"]["val/bits_per_byte"] == 0.5
    ledger.update(last.key, state=DONE)
    found = newer()
    assert found
    assert found["runs"][2]["state"] == DONE
    assert newer() is None


def test_only_its_own_address_is_answered(server: PageServer):
    code, text = fetch(server.url)
    assert (code, text[:15]) == (200, "<!doctype html>")
    place = server.url.removesuffix(server.place)
    for path in ("", "/", "/data", "/guessed/", "/guessed/data", f"{server.place}../x", "/etc"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(place + path)
    assert place.startswith("http://127.0.0.1:")
    with PageServer(Path("x")) as other:
        assert other.place != server.place


def test_a_port_that_is_taken(server: PageServer, tmp_path: Path):
    with pytest.raises(InputError, match=f"--port {server.server_port}: cannot be listened at"):
        PageServer(tmp_path, server.server_port)
    with pytest.raises(InputError, match="--port 70000"):
        PageServer(tmp_path, 70000)


@pytest.mark.slow
def test_the_page_follows_and_keeps_what_was_chosen(browser: Any, server: PageServer, sweep: Path):
    browser.open_url(server.url)
    browser.wait("document.querySelector('.title .badge').textContent === 'live'")
    browser.choose("filter", "state!=pending")
    browser.choose("curve-y", "train/loss")
    browser.js("mark(1)")
    ledger = Ledger(sweep)
    ledger.update(ledger.jobs()[2].key, state="failed", error_type="Boom", message="it broke")
    browser.wait("document.getElementById('failures').textContent.includes('it broke')")
    browser.settle()
    assert browser.js("[page.filter, page.marked, document.getElementById('curve-y').value]") == [
        "state!=pending", 1, "train/loss",
    ]  # fmt: skip
    assert browser.js("document.getElementById('curves').data.length") == 3
    assert browser.console == []
    assert all(url.startswith((server.url, "data:", "blob:")) for url in browser.requests)
    server.shutdown()
    server.server_close()
    browser.wait("document.querySelector('.title .badge').textContent.includes('has ended')")
