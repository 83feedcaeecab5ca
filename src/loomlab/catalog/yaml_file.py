"""What keeps a YAML file from being a config, in a sentence."""

from __future__ import annotations

from typing import Any

import yaml
from hydra.errors import HydraException

UNREADABLE = (yaml.YAMLError, UnicodeDecodeError, OSError)
NO_SETTINGS = "holds no settings (key: value)"
OUTSIDE = "leaves the config folders"


class BadConfigFile(HydraException):
    """A config file that was chosen and cannot be read; `path` is its place, `why` the reason."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.path, self.why = path, why


def mapping(text: str) -> tuple[dict[str, Any], str]:
    """The settings of a YAML text, and why there are none in it; a blank text is no fault."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return {}, fault(error)
    if found is None:
        return {}, ""
    return (found, "") if isinstance(found, dict) else ({}, NO_SETTINGS)


def fault(error: Exception) -> str:
    """What is wrong with a file that could not be read as YAML."""
    if isinstance(error, yaml.MarkedYAMLError):
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"is no YAML{where}: {error.problem or error.context}"
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 at byte {error.start}"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"is no YAML: {str(error).strip().splitlines()[0]}"
