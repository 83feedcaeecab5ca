"""Values in the grammar of overrides and of shells: quoted, so that they arrive as they are."""

from __future__ import annotations

import re
import shlex

# What Hydra reads as text without quotes, and shells do, too.
PLAIN = re.compile(r"(?!(?:true|false|null|inf|nan)$)[./A-Za-z_][\w./+@%-]*", re.ASCII | re.I)


def override(key: str, value: object) -> str:
    """KEY='VALUE' for Hydra, whatever is in the value."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", str(value))
    trailing = len(text) - len(text.rstrip("\\"))
    return f"{key}='{text}{chr(92) * trailing}'"


def given(key: str, value: object) -> str:
    """KEY=VALUE for Hydra, in quotes only where it needs them."""
    return f"{key}={value}" if PLAIN.fullmatch(str(value)) else override(key, value)


def to_type(key: str, value: object) -> str:
    """KEY=VALUE as one types it into a shell."""
    return shlex.quote(given(key, value))
