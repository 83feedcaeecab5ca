"""The page of a sweep in a browser, kept up to date while the sweep runs."""

from __future__ import annotations

import hashlib
import secrets
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loomlab.errors import InputError
from loomlab.report.page import page, plain
from loomlab.report.page_data import page_data
from loomlab.run.ledger import Ledger

HOST = "127.0.0.1"
WRITTEN = ("config.yaml", "metrics.csv", "summary.json", "samples.jsonl", "samples.txt")


class Served:
    """A sweep as its page shows it, read again when something of it has changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.data: dict[str, Any] = {}

    def stamp(self) -> str:
        """What changes when a job or a file of a run does."""
        seen: list[object] = []
        for job in Ledger(self.folder).jobs():
            seen += [job.key, job.state, job.ended, job.message, job.log_tail]
            seen += [_changed(self.folder / job.folder / name) for name in WRITTEN]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]

    def now(self) -> dict[str, Any]:
        """The data of the page, with their stamp."""
        stamp = self.stamp()
        with self.lock:
            if self.data.get("stamp") != stamp:
                self.data = page_data(self.folder) | {"stamp": stamp}
            return self.data


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size


class PageServer(ThreadingHTTPServer):
    """Serves one sweep to the browser of the one who started it.

    Other users of the machine and other pages in the browser do not know the address, of which
    a part is drawn by chance.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        """Port 0 is any that is free.

        Raises:
            InputError: the port is taken, or not for everybody.
        """
        self.place = f"/{secrets.token_urlsafe(16)}/"
        try:
            super().__init__((HOST, port), partial(_Handler, Served(folder)))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--port {port}: cannot be listened at ({error}): leave it out, or give another"
            ) from error

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_port}{self.place}"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def __init__(self, served: Served, *connection: Any) -> None:
        self.served = served
        super().__init__(*connection)

    def do_GET(self) -> None:
        """The page, or the data that are newer than those of a stamp."""
        asked = urlsplit(self.path)
        if asked.path == self.server.place:
            self._reply(page(self.served.now()), "text/html")
        elif asked.path != f"{self.server.place}data":
            self.send_error(404)
        elif parse_qs(asked.query).get("since") == [self.served.stamp()]:
            self.send_response(204)
            self.end_headers()
        else:
            self._reply(plain(self.served.now()), "application/json")

    def _reply(self, text: str, kind: str) -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal has the address only."""
