"""The unit of work: a folder that holds a checked config, which any process can run or go on with.

`prepare_folder` writes it and `run_prepared` runs it, also in another process, later or elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType

from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.choices import chosen
from loomlab.compose.home_paths import paths_at_home
from loomlab.errors import InputError
from loomlab.run.alone import require_alone
from loomlab.run.folder import CONFIG, RunFolder
from loomlab.run.output import restored_when_refused
from loomlab.secrets import MASK

FINISHED = "finished"


def record_choice(config: DictConfig, conf_dirs: Iterable[Path] = ()) -> DictConfig:
    """The config as it goes into the folder: without Hydra's node, with the options picked.

    `conf_dirs` are the user's config folders, beside which modules of options may lie.
    """
    plain = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
    OmegaConf.set_struct(plain, False)
    paths_at_home(plain)
    plain["choice"] = chosen(config)
    plain["conf_dirs"] = [str(folder) for folder in conf_dirs]
    return plain


def prepare_folder(
    config: DictConfig, overrides: list[str], conf_dirs: Iterable[Path] = ()
) -> tuple[RunFolder, DictConfig]:
    """Write the folder that the composed config names; also its config, secrets included.

    `overrides` are those that led to it.

    Raises:
        InputError: another process runs this folder now.
    """
    plain = record_choice(config, conf_dirs)
    folder = RunFolder(plain.paths.output_dir)
    require_alone(folder.path)
    folder.create(plain, overrides)
    return folder, plain


def begun(folder: Path) -> bool:
    """Whether the run of a folder has saved a state that it can go on from."""
    return (folder / CONFIG).is_file() and any((folder / "checkpoints").glob("*.ckpt"))


def run_prepared(
    folder: RunFolder, secrets: Mapping[str, object] = MappingProxyType({}), trains: bool = True
) -> float:
    """Run a prepared folder, or go on with it; returns the metric that runs are compared by.

    `secrets` are values, by key, that are not on record; without `trains` its weights are only
    compressed.

    Raises:
        InputError: it is no run folder, its run is finished, or a secret is missing in it.
    """
    from loomlab.run.session import execute

    config = folder.config()
    if folder.summary().get("status") == FINISHED:
        raise InputError(f"{folder.path}: this run is finished; to use it, see `loom --help`")
    for key, value in secrets.items():
        OmegaConf.update(config, key, value)
    if left_out := kept_out(config):
        raise InputError(
            f"{folder.path}: {', '.join(left_out)} was kept out of the record, as a secret: run "
            "it by `loom train` with that setting"
        )
    goes_on = begun(folder.path)
    config.resume = str(folder.path) if goes_on else None
    with restored_when_refused(folder.path) if goes_on else nullcontext():
        return execute(config, folder, trains)


def kept_out(config: DictConfig) -> list[str]:
    """Keys of the settings that were not written down."""
    return list(dict.fromkeys(_masked(OmegaConf.to_container(config))))


def _masked(node: object, path: str = "") -> Iterable[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _masked(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for value in node:
            yield from _masked(value, path)
    elif isinstance(node, str) and MASK in node:
        yield path
