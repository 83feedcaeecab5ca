"""Where exports of a run lie, and what each says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from loomlab.allow import authorize
from loomlab.errors import InputError
from loomlab.format.base import Format

EXPORTS, RECORD = "exports", "export.json"


def make_format(node: dict[str, Any]) -> Format:
    """The format of a `_target_` and its settings, as conf/format or a record has them.

    Raises:
        InputError: the target is not allowed.
    """
    authorize(node)
    form: Format = instantiate(node)
    return form


def read_record(path: Path) -> dict[str, Any] | None:
    """What an export says of itself; `path` is its folder or a file in it. None: no export."""
    folder = path.parent if path.is_file() else path
    record = folder / RECORD
    if not record.is_file():
        return None
    try:
        said: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{record} is damaged: export the run again") from error
    return said | {"folder": folder}
