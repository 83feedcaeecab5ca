"""`resume=RUN_DIR` needs no other override: the run's own are put in front."""

from __future__ import annotations

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.axes import AXES
from loomlab.catalog.own_axes import own_axes
from loomlab.errors import InputError
from loomlab.home import at_home
from loomlab.quoting import override
from loomlab.secrets import MASK

# Beside the outcome axes, these shared settings decide the result.
SHARED = ("seed", "sequence_length", "global_batch_size", "init", "freeze", "layer_decay")


def with_recorded_overrides(overrides: list[str]) -> list[str]:
    """Overrides completed by those of the run that is resumed, in its own folder.

    Raises:
        InputError: the folder is no run folder.
    """
    named = [o for o in overrides if o.startswith("resume=")]
    if not named or named[-1] == "resume=null" or not value_of(named[-1]):
        return overrides  # none, or an empty one, which the gate refuses
    from loomlab.run.folder import RunFolder

    path = str(at_home(value_of(named[-1])))
    folder = RunFolder(path)
    if not (folder.path / "config.yaml").is_file():
        raise InputError(
            f"resume={path}: no run folder is there (it would have a config.yaml); give the "
            "folder that `loom train` printed"
        )
    recorded = [
        o
        for o in folder.overrides()
        if not o.startswith(("resume=", "paths.output_dir=", "overwrite="))
    ]
    recorded = [o for o in recorded if not o.lstrip("+~").startswith("hydra.")]
    given = {o.lstrip("+~").partition("=")[0] for o in overrides}
    left_out = [o.lstrip("+~").partition("=")[0] for o in recorded if o.endswith(f"={MASK}")]
    if missing := [key for key in left_out if key not in given]:
        raise InputError(
            f"resume={path}: {', '.join(missing)} was kept out of the record, as a secret: give "
            f"it again, as {missing[0]}=..."
        )
    recorded = [o for o in recorded if not o.endswith(f"={MASK}")]
    return [*recorded, *overrides, override("paths.output_dir", folder.path)]


def value_of(text: str) -> str:
    """The value of an override as text, without the quotes it may have."""
    try:
        return str(OverridesParser.create().parse_override(text).value())
    except (OverrideParseException, HydraException):  # the gate says what is wrong with it
        return text.partition("=")[2]


def refuse_changes(config: DictConfig) -> None:
    """Refuse to resume a run with another outcome axis: it would be neither run.

    Raises:
        InputError: naming what differs between the recorded config and this one.
    """
    if not config.resume:
        return
    from loomlab.run.folder import RunFolder

    recorded = RunFolder(str(config.resume)).config()
    axes = {a.name: a for a in (*AXES, *own_axes(recorded), *own_axes(config))}
    outcome = [name for name, axis in axes.items() if axis.kind == "outcome"]
    changes = [
        f"{path}: {before} -> {now}"
        for axis in [*outcome, *SHARED]
        for path, before, now in _differences(axis, recorded.get(axis), config.get(axis))
    ]
    if changes:
        raise InputError(
            f"resume={config.resume}: a resumed run keeps its outcome axes, but "
            f"{'; '.join(changes)}. Start a new run (init={config.resume} takes its weights)"
        )


def _differences(path: str, before: Any, now: Any) -> list[tuple[str, Any, Any]]:
    """(path, recorded value, new value) of every leaf that differs."""
    before, now = _plain(before), _plain(now)
    if before == MASK:
        return []  # a secret, which is not on record
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [(path, before, now)]
    found = []
    for key in dict.fromkeys([*before, *now]):
        found += _differences(f"{path}.{key}", before.get(key), now.get(key))
    return found


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
