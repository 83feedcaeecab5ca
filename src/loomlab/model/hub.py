"""Whether a model of the Hugging Face hub can be had, answered in about a second.

Transformers alone retries an unreachable hub for 47 s before it says so.
"""

import os
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from loomlab.errors import InputError

TIMEOUT = 1.0  # seconds
TRUE = {"1", "on", "yes", "true"}


def require_checkpoint(name: str) -> bool:
    """Check that `name` can be loaded; returns whether to use local files only.

    Raises:
        InputError: neither a folder, nor in the local cache, nor is the hub within reach.
    """
    if Path(name).is_dir():
        if not Path(name, "config.json").is_file():
            raise InputError(
                f"model.name: the folder {name} has no config.json: "
                "give a folder written by save_pretrained."
            )
        return True
    from huggingface_hub import try_to_load_from_cache

    reachable = not offline() and hub_answers()
    if reachable or isinstance(try_to_load_from_cache(name, "config.json"), str):
        return not reachable
    raise InputError(
        f"model.name={name} is no local folder, is not in the local cache, and the hub cannot be "
        "reached: give a local folder with config.json and weights (model.name=/path/to/folder)."
    )


def offline() -> bool:
    """Whether the environment asks to stay off the hub."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").lower() in TRUE for name in names)


def hub_answers() -> bool:
    """Whether the hub (or the proxy in front of it) accepts a connection within a second."""
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    url = urlsplit(getproxies().get("https") or endpoint)
    address = (url.hostname or "huggingface.co", url.port or 443)
    answered = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=TIMEOUT).close()
        except OSError:
            return
        answered.set()

    # In a thread, since the timeout of a socket does not cover a slow name server.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return answered.is_set()
