"""Which code a config may name: everything is refused but what is listed here.

Hydra builds whatever a `_target_` names, and configs come from files of other people: recorded
runs, saved models, experiments. A target is judged twice: by its name, before anything is
imported, and by the object itself, because `loomlab.run.folder.os.system` is not of loomlab.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hydra._internal.utils import _locate

from loomlab.errors import InputError, first_line
from loomlab.text.cache import default_cache_dir

# Library code, by prefix: only classes that derive from one of these are taken from it.
LIBRARIES = {
    "torch.optim": ("torch.optim.optimizer.Optimizer", "torch.optim.lr_scheduler.LRScheduler"),
    "torch.nn": ("torch.nn.modules.module.Module",),
    "pytorch_lightning.callbacks": ("pytorch_lightning.callbacks.callback.Callback",),
    "pytorch_lightning.loggers": ("pytorch_lightning.loggers.logger.Logger",),
    "pytorch_lightning.strategies": ("pytorch_lightning.strategies.strategy.Strategy",),
    "pytorch_lightning.profilers": ("pytorch_lightning.profilers.profiler.Profiler",),
    "transformers": (
        "transformers.configuration_utils.PreTrainedConfig",
        "transformers.modeling_utils.PreTrainedModel",
        "transformers.tokenization_utils_base.PreTrainedTokenizerBase",
    ),
    "peft": ("peft.config.PeftConfigMixin",),
    "hydra": ("hydra.plugins.plugin.Plugin", "hydra.experimental.callback.Callback"),
    "hydra_plugins": ("hydra.plugins.plugin.Plugin", "hydra.experimental.callback.Callback"),
}
_chosen: set[Path] = set()  # folders beside which the user keeps modules of options


def make_importable(conf_dirs: Iterable[Path]) -> None:
    """Allow the modules beside config folders that the user chose, and make them importable."""
    for folder in conf_dirs:
        _chosen.add(folder.resolve().parent)
        if str(folder.parent) not in sys.path:
            sys.path.append(str(folder.parent))


def targets(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every `_target_` anywhere inside plain dicts and lists."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield f"{path}._target_".lstrip("."), node["_target_"]
        for key, child in node.items():
            yield from targets(child, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from targets(child, f"{path}.{number}")


def complaint(target: Any) -> str:
    """Why a config may not name `target`; empty when its name is allowed. Imports nothing."""
    if not isinstance(target, str) or "." not in target:
        return f'{target!r} is not a full name of a class, such as "package.module.Class"'
    if _origin(target):
        return ""
    top = target.split(".")[0]
    return (
        f"{target} is outside loomlab; to allow code of that package to run, set LOOM_ALLOW={top}"
    )


def resolve(target: Any, path: str = "_target_") -> Any:
    """The class (or, in the user's own code, the function) that `target` names.

    Raises:
        InputError: it is not allowed, by name or as what it turns out to be, or is not there.
    """
    refusal = complaint(target)
    if refusal:
        raise InputError(f"{path}: {refusal}.")
    try:
        found = _locate(target)
    except (ImportError, ValueError) as error:
        raise InputError(f"{path}: {target} cannot be imported: {_cause(error)}.") from error
    name = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    origin = _origin(name)
    if not origin or not callable(found) or found.__class__.__name__ == "module":
        raise InputError(
            f"{path}: {target} is really {name.strip('.') or type(found).__name__}, which a "
            "config may not build; name a class, or allow its package in LOOM_ALLOW."
        )
    if origin != "user" and not _is_kind(found, LIBRARIES.get(origin, ("builtins.object",))):
        raise InputError(f"{path}: {target} is none of the classes a config may build.")
    return found


def authorize(node: Any, path: str = "") -> None:
    """Resolve every `_target_` inside a plain container; InputError for the first refused."""
    for place, target in targets(node, path):
        resolve(target, place)


def _origin(name: str) -> str:
    """The list entry that allows a dotted name: "loomlab", a library, "user"; empty for none."""
    asked = [part.strip() for part in os.environ.get("LOOM_ALLOW", "").split(",")]
    if any(name.startswith(f"{prefix}.") for prefix in asked if prefix):
        return "user"
    if any(_lies_in(name.split(".")[0], folder) for folder in _chosen):
        return "user"
    return next((p for p in ("loomlab", *LIBRARIES) if name.startswith(f"{p}.")), "")


def _lies_in(top: str, folder: Path) -> bool:
    """Whether the top-level module that Python would import is a file beside a conf folder."""
    files = (folder / top, folder / f"{top}.py")
    if str(folder) not in sys.path or not any(file.exists() for file in files):
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""] if spec else []
    return any(Path(place).resolve() in files for place in places if place)


def _is_kind(found: Any, bases: tuple[str, ...]) -> bool:
    mro = getattr(found, "__mro__", ()) if isinstance(found, type) else ()
    return any(f"{c.__module__}.{c.__qualname__}" in bases for c in mro)


def _cause(error: BaseException) -> str:
    return first_line(error.__cause__ or error)


# -- config folders named by a recorded run


def remember(conf_dirs: Iterable[str]) -> None:
    """Note that the user trained with these config folders, so that their runs can be used."""
    known = [d for d in _remembered() if Path(d).is_dir()]
    new = [d for d in conf_dirs if d not in known]
    if not new:
        return
    path = _record()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text("".join(f"{d}\n" for d in [*known, *new]), encoding="utf-8")
    except OSError:  # then at least for this process and those it starts
        chosen = [*filter(None, os.environ.get("LOOM_CONF", "").split(os.pathsep)), *new]
        os.environ["LOOM_CONF"] = os.pathsep.join(chosen)


def trust_recorded(conf_dirs: Iterable[str]) -> None:
    """Make modules beside recorded config folders importable, if this user chose them before.

    A run folder is a file of anyone: that it names a folder does not make its code trusted.
    """
    named = os.environ.get("LOOM_CONF", "").split(os.pathsep)
    known = {Path(d).resolve() for d in [*named, *_remembered()] if d}
    make_importable(Path(d) for d in conf_dirs if Path(d).resolve() in known)


def _record() -> Path:
    return default_cache_dir() / "conf_dirs.txt"


def _remembered() -> list[str]:
    """Folders on record, if nobody else could have written the record."""
    try:
        state = _record().stat()
        if state.st_uid != os.getuid() or state.st_mode & 0o022:
            return []
        return _record().read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
