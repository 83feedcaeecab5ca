"""Datasets of a hub that runs on this machine: pinned, downloaded when read, kept."""

import hashlib
import http.server
import json
import threading
from pathlib import Path

import pytest
from huggingface_hub import constants

from loomlab.errors import InputError
from loomlab.text.dataset_source import HubDataset, LocalFolder, _endpoint

COMMIT, OTHER = "c" * 40, "d" * 40
FILES = {"data/train-0.jsonl": b'{"text": "one"}\n', "data/train-1.jsonl": b'{"text": "two"}\n'}


class Hub(http.server.BaseHTTPRequestHandler):
    """The two questions of the hub's interface that a dataset needs."""

    asked: list[str] = []

    def do_GET(self):
        self.asked.append(f"{self.command} {self.path}")
        listing = {
            "id": "me/tiny",
            "sha": COMMIT,
            "siblings": [{"rfilename": name} for name in ("README.md", *FILES)],
        }
        file = self.path.partition(f"/datasets/me/tiny/resolve/{COMMIT}/")[2]
        name = file.replace("%2F", "/")
        if "broken" in self.path:
            self.close_connection = True  # without an answer
        elif self.path.startswith("/api/datasets/me/tiny/revision/v2"):
            self.answer(json.dumps({**listing, "sha": OTHER}).encode(), "application/json")
        elif self.path.startswith("/api/datasets/me/tiny/revision/main"):
            self.answer(json.dumps(listing).encode(), "application/json")
        elif name in FILES:
            self.answer(FILES[name], "application/octet-stream")
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        """Keep the test's output clean."""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # read once, when it is imported
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    Hub.asked = []
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def dataset(tmp_path):
    return HubDataset("me/tiny", "main", tmp_path / "cache")


def test_files_are_listed_once_and_downloaded_when_read(hub, dataset):
    assert not dataset.is_pinned()
    assert dataset.files() == ["README.md", *FILES]
    assert dataset.is_pinned()
    assert not any("/resolve/" in line for line in Hub.asked)
    assert dataset.local("data/train-0.jsonl").read_bytes() == FILES["data/train-0.jsonl"]
    assert not any("train-1" in line for line in Hub.asked)


def test_what_was_used_once_needs_no_network(hub, dataset, monkeypatch):
    identity = dataset.identity(dataset.files())
    path = dataset.local("data/train-0.jsonl")
    asked = len(Hub.asked)
    assert dataset.local("data/train-0.jsonl") == path
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert dataset.identity(dataset.files()) == identity
    assert dataset.local("data/train-0.jsonl") == path
    assert len(Hub.asked) == asked
    with pytest.raises(InputError, match=r"data/train-1\.jsonl of corpus\.name=me/tiny is not in"):
        dataset.local("data/train-1.jsonl")


def test_a_damaged_list_is_asked_for_again(hub, dataset):
    dataset.files()
    next(dataset.cache_dir.glob("hub/*/files.json")).unlink()
    assert not dataset.is_pinned()
    assert dataset.files() == ["README.md", *FILES]


def test_another_revision_is_another_dataset(hub, dataset, tmp_path):
    other, files = HubDataset("me/tiny", "v2", tmp_path / "cache"), dataset.files()
    assert dataset.is_pinned()
    assert not other.is_pinned()
    assert not HubDataset("me/other", "main", tmp_path / "cache").is_pinned()
    names = {source.identity(part) for source in (dataset, other) for part in (files, files[:1])}
    assert len(names) == 4


def test_the_hub_is_that_of_the_library_unless_another_is_named(monkeypatch):
    for value in ("https://hub.example.org", ""):
        monkeypatch.setenv("HF_ENDPOINT", value)
        assert _endpoint() == (value or None)
    monkeypatch.delenv("HF_ENDPOINT")
    assert _endpoint() is None


@pytest.mark.parametrize("name", ["me/nothing", "no good name", "me/broken"])
def test_a_wrong_name_is_one_sentence(hub, tmp_path, name):
    with pytest.raises(InputError, match=f"corpus.name={name}: the hub has no such dataset"):
        HubDataset(name, "main", tmp_path / "cache").files()
    assert not HubDataset(name, "main", tmp_path / "cache").is_pinned()


def test_a_file_that_vanished_is_one_sentence(hub, dataset):
    for name in ("gone.parquet", "broken.parquet"):
        with pytest.raises(InputError, match=rf"{name} could not be downloaded"):
            dataset.local(name)


def test_a_local_folder(tmp_path):
    (tmp_path / "data").mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    folder = LocalFolder(tmp_path)
    (tmp_path / "dead.jsonl").symlink_to(tmp_path / "gone")
    assert folder.files() == list(FILES)
    assert folder.local("data/train-0.jsonl") == tmp_path / "data" / "train-0.jsonl"
    before = folder.identity(folder.files())
    (tmp_path / "data" / "train-1.jsonl").write_bytes(b"other")
    assert folder.identity(folder.files()) != before
    (tmp_path / "linked").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "up").symlink_to(tmp_path)
    (tmp_path / "part").mkdir()
    assert LocalFolder(tmp_path / "linked").files()[:2] == ["train-0.jsonl", "train-1.jsonl"]
    (tmp_path / "part" / "data").symlink_to(tmp_path / "data")
    assert LocalFolder(tmp_path / "part").files()[:2] == list(FILES), "as links of a pool"
    with pytest.raises(InputError, match="is no folder"):
        LocalFolder(Path("nothing/here")).files()
