"""Where configs are looked for: the package's own folder and the user's."""

from __future__ import annotations

import os
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from loomlab.allow import make_importable
from loomlab.home import at_home

ENVIRONMENT_VARIABLE = "LOOM_CONF"


def package_conf() -> Path:
    """The conf folder: inside the installed package, or at the top of a checkout."""
    installed = Path(__file__).parents[1] / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "conf"


def user_conf_dirs() -> list[Path]:
    """Config folders of the user: LOOM_CONF (separated as PATH is), then ./conf."""
    named = [at_home(p) for p in os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep) if p]
    candidates = [*named, Path.cwd() / "conf"]
    own = package_conf().resolve()
    return [p.resolve() for p in candidates if p.is_dir() and p.resolve() != own]


def named_conf_dirs(arguments: list[str]) -> list[Path]:
    """Folders a command line names with --config-dir or hydra.searchpath."""
    found = []
    for position, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            found.append(value or "".join(arguments[position + 1 : position + 2]))
        elif flag.lstrip("+") == "hydra.searchpath":
            found += [p.strip().removeprefix("file://") for p in value.strip("[]").split(",")]
    return [Path(p).resolve() for p in found if p and Path(p).is_dir()]


def all_conf_dirs(arguments: list[str] | None = None) -> list[Path]:
    """Every config folder, the package's own first."""
    return [package_conf(), *user_conf_dirs(), *named_conf_dirs(arguments or [])]


class UserConfigs(SearchPathPlugin):
    """Puts the user's config folders on Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in user_conf_dirs():
            search_path.append(provider="loomlab-user", path=f"file://{folder}")


def install_search_path(arguments: list[str]) -> None:
    """Register the plugin and make Python files beside a user's conf folder importable."""
    Plugins.instance().register(UserConfigs)
    make_importable([*user_conf_dirs(), *named_conf_dirs(arguments)])
