"""What the W&B client is told outside of the config: WANDB_... variables, its files, its login.

Whatever the config leaves open is taken from here, so that the variables do what W&B says.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from loomlab.errors import InputError, first_line
from loomlab.text.cache import default_cache_dir

PROJECT = "loomlab"
SAME_MODE = {"dryrun": "offline", "run": "online"}  # older names, which the client still takes
log = logging.getLogger("loomlab")


def use_writable_places() -> None:
    """Where the client's own folders cannot be written, it works in the cache of loomlab.

    Where that cannot be written either, the client says so itself.
    """
    from platformdirs import user_cache_dir, user_data_dir  # which the client asks, too

    ours = default_cache_dir() / "wandb"
    for variable, usual in (
        ("WANDB_CACHE_DIR", user_cache_dir("wandb")), ("WANDB_DATA_DIR", user_data_dir("wandb"))
    ):  # fmt: skip
        if variable not in os.environ and not _writable(Path(usual)) and _writable(ours):
            os.environ[variable] = str(ours)


def _writable(folder: Path) -> bool:
    """Whether a folder can be written, or made and then written."""
    there = next(f for f in (folder, *folder.absolute().parents) if f.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def told() -> Any:
    """The client's settings as variables and settings files make them; none of its own starts.

    Raises:
        InputError: the client does not take one of them.
    """
    from wandb.sdk.wandb_setup import singleton  # `wandb.setup` would start its service

    try:
        return singleton().settings
    except ValueError as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"W&B refuses its own settings: correct the WANDB_... variable or the settings file "
            f"it names, or train with logger=none: {said}"
        ) from error


def server_url() -> str:
    """The server: of the client's settings file, of WANDB_BASE_URL or its own."""
    return str(told().base_url)


def project_of(configured: str | None) -> str:
    """The project of a run."""
    return configured or told().project or PROJECT


def group_of(configured: str | None, sweep: str | None) -> str | None:
    """The group of a run: without one given, that of its sweep."""
    return configured or told().run_group or sweep


def has_key() -> bool:
    """Whether the client finds a key for its server, wherever `wandb login` has put it."""
    from wandb.errors import AuthenticationError
    from wandb.sdk.lib.wbauth import authenticate_session

    try:
        found = authenticate_session(
            host=server_url(), source="loomlab", prompt=False, update_session=False
        )
    except AuthenticationError as error:
        log.warning("W&B: %s", first_line(error))
        return False
    return found is not None


def automatic_mode(debug: bool) -> str:
    """Disabled where a run is no result, else what the client is told, else online with a key."""
    if debug:
        return "disabled"
    settings = told()
    if "mode" in settings.model_fields_set:
        return SAME_MODE.get(settings.mode, settings.mode)
    if "PYTEST_CURRENT_TEST" in os.environ:
        return "disabled"
    return "online" if has_key() else "offline"


def unless_told(**settings: Any) -> dict[str, Any]:
    """Those of our settings of the client for which no variable is set."""
    return {key: v for key, v in settings.items() if f"WANDB_{key.upper()}" not in os.environ}
