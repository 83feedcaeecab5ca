"""Secrets stay out of everything that is written down: logs, configs, summaries, trackers.

A secret is the value of a setting or of an environment variable with a name such as hf_token,
api_key or DB_PASSWORD. Names are judged by whole words: tokens_per_step, pad_token_id and
text_key are none.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

MASK = "***"
SHORTEST = 8  # characters; shorter values are too likely to be ordinary words
WORDS = {"secret", "secrets", "password", "passwords", "passwd", "passphrase", "credential",
         "credentials", "apikey"}  # fmt: skip
KEYS = {"api", "access", "private", "auth", "encryption", "signing"}  # as in api_key
OF_TEXT = {"pad", "eos", "bos", "unk", "mask", "cls", "sep", "special", "image", "audio", "start",
           "end", "begin", "stop", "per", "next", "first", "last", "class", "control", "new",
           "decoder", "document", "separator", "sentinel", "mode", "prefix"}  # fmt: skip
_known: set[str] = set()  # values of secret settings this process has seen


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether a setting or variable of that name holds a secret."""
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    if WORDS & set(words):
        return True
    pairs = list(zip(["", *words], words, strict=False))
    if any(second == "key" and first in KEYS for first, second in pairs):
        return True
    return bool(words) and words[-1] == "token" and pairs[-1][0] not in OF_TEXT


def masked(node: Any, secret: bool = False) -> Any:
    """A copy of plain values with every secret replaced; its text is searched for them, too."""
    if isinstance(node, dict):
        return {k: masked(v, secret or is_secret(str(k))) for k, v in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(
            masked_override(v) if _is_override(v) else masked(v, secret) for v in node
        )
    if secret and node is not None and not isinstance(node, bool) and "${" not in str(node):
        _learn(node)
        return MASK
    return masked_text(node) if isinstance(node, str) else node


def _is_override(value: Any) -> bool:
    return isinstance(value, str) and "=" in value


def masked_text(text: str) -> str:
    """Text without the values of secret environment variables and settings."""
    values = {v for k, v in os.environ.items() if len(v) >= SHORTEST and is_secret(k)}
    for value in sorted(values | _known, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def masked_override(override: str) -> str:
    """An override as it may be written down."""
    key, equals, value = override.partition("=")
    if equals and value and "${" not in value and is_secret(key.rpartition(".")[2]):
        for part in value.split(","):
            _learn(part.strip("'\""))
        return f"{key}={MASK}"
    return masked_text(override)


def _learn(value: Any) -> None:
    if len(str(value)) >= SHORTEST:
        _known.add(str(value))


def recordable(config: DictConfig) -> dict[str, Any]:
    """Plain values of a config, to be written down.

    Interpolations are resolved but for those that read the environment, which stay as written;
    secrets are masked.
    """
    with _environment_unread():
        found: dict[str, Any] = masked(_resolved(config))
    return found


def _resolved(node: Any) -> Any:
    if not OmegaConf.is_config(node):
        return node
    written: Any = OmegaConf.to_container(node, resolve=False)
    if written is None or isinstance(written, str):  # a node that is null or missing
        return written
    listed = isinstance(written, list)
    found = {}
    for key in range(len(written)) if listed else written:
        found[key] = written[key]
        if isinstance(written[key], dict | list) or "${" in str(written[key]):
            try:
                value = node[key]
            except OmegaConfBaseException:
                continue
            # an escaped \${ must stay escaped, or it would be resolved when it is read
            if "${" not in str(value) or OmegaConf.is_config(value):
                found[key] = _resolved(value)
    return list(found.values()) if listed else found


@contextmanager
def _environment_unread() -> Iterator[None]:
    def refuse(*_: Any) -> NoReturn:
        raise ValueError("the environment is not read for a record")

    OmegaConf.register_new_resolver("oc.env", refuse, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


class MaskingFormatter(logging.Formatter):
    """Formats as another formatter does, tracebacks included, and leaves secrets out."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The line of a log, without secrets."""
        return masked_text(self.inner.format(record))


def mask_logs() -> None:
    """Keep secrets out of everything the process logs from here on."""
    for handler in logging.getLogger().handlers:
        inner = handler.formatter or logging.Formatter()
        if not isinstance(inner, MaskingFormatter):
            handler.setFormatter(MaskingFormatter(inner))
