"""What can be wrong with the settings of `corpus=hf`; needs no heavy import."""

from typing import Any

from loomlab.errors import InputError
from loomlab.home import at_home
from loomlab.quoting import to_type
from loomlab.text.dataset_source import HubDataset, LocalFolder
from loomlab.text.splits import split_files


def problems(settings: dict[str, Any], config: Any = None) -> list[str]:
    """What is wrong, in words; an empty list if all is well.

    A local folder is listed. With the config of a run, the hub is asked for an answer within a
    second, unless the dataset was used before.
    """
    name, path = settings.get("name"), settings.get("path")
    if (name is None) == (path is None):
        return [
            "name: corpus=hf needs exactly one of corpus.name (a dataset of the hub) and "
            "corpus.path (a local folder in the same layout)"
        ]
    if name is not None:
        return _name_problems(str(name)) or _unreachable(settings, config)
    folder = at_home(str(path))
    if not folder.is_dir():
        return [f"path: {path} is no folder: give one with parquet or jsonl files"]
    try:
        splits = settings["train_split"], settings["validation_split"]
        split_files(LocalFolder(folder).files(), settings.get("config"), *splits)
    except InputError as error:
        return [f"path: {path}: {error}"]
    return []


def _name_problems(name: str) -> list[str]:
    """A name is always one of the hub, even where a folder is called the same."""
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        typed = to_type("corpus.path", name)
        return [f"name: {name} is no name of the hub: for a local folder set {typed}"]
    return []


def _unreachable(settings: dict[str, Any], config: Any) -> list[str]:
    if config is None:
        return []
    name, revision = str(settings["name"]), str(settings["revision"])
    dataset = HubDataset(name, revision, at_home(str(config.paths.cache_dir)))
    fault = None if dataset.is_pinned() else dataset.out_of_reach()
    return [] if fault is None else [fault]
