"""Whether a server can be reached, answered in about a second.

Client libraries retry an unreachable one for the better part of a minute before they say so.
"""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies

TIMEOUT = 1.0  # seconds


def answers(url: str, timeout: float = TIMEOUT) -> bool:
    """Whether the server of a URL (or the proxy in front of it) accepts a connection in time."""
    wanted = urlsplit(url)
    found = urlsplit(getproxies().get(wanted.scheme) or url)
    address = (found.hostname or "", found.port or (443 if found.scheme == "https" else 80))
    answered = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=timeout).close()
        except OSError:
            return
        answered.set()

    # In a thread, since the timeout of a socket does not cover a slow name server.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(timeout)
    return answered.is_set()
