"""What `loom compress` starts from, a finished run, a model's folder or a model by its name; and
what cannot be done to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from loomlab.catalog.problem import Problem
from loomlab.catalog.search import package_conf
from loomlab.catalog.source import read_target
from loomlab.entry.resume import value_of
from loomlab.errors import InputError
from loomlab.quoting import override, to_type

OF_TRAINING = (
    *("resume", "init", "paths.output_dir", "overwrite", "compression", "parallelism"),
    *("hydra", "name"),
)
MARKER = "loomlab_layers"  # as in loomlab.model.reshaped, which loads torch


def beginning_of(source: Path, overrides: list[str]) -> list[str]:
    """The settings that make the source's model and text, before those of the command line.

    A model in Transformers layout is loaded as it is, or where the command line names another
    `model`, into that one.

    Raises:
        InputError: the folder holds nothing that can be compressed.
    """
    if (source / "config.yaml").is_file():
        from loomlab.run.folder import RunFolder

        if not (source / "model" / "config.json").is_file():
            raise InputError(
                f"{source} has no finished model: go on with "
                f"`loom train {to_type('resume', source)}`"
            )
        recorded = [o for o in RunFolder(source).overrides() if _key(o) not in OF_TRAINING]
        if not any(_key(o) == "model" and value_of(o) in shipped() for o in recorded):
            recorded = [o for o in recorded if _key(o) != "tokenizer"]  # it comes with the weights
        return [*recorded, override("init", source.absolute())]
    if (source / "config.json").is_file():
        if MARKER in json.loads((source / "config.json").read_text(encoding="utf-8")):
            raise InputError(
                f"{source} is the model of a compressed run, some layers of which Transformers "
                f"does not know: give the run's own folder, such as {source.parent}"
            )
        path = source.absolute()
        if any(o.startswith("model=") and value_of(o) != "hf" for o in overrides):
            return [override("init", path)]
        found = [override("model.name", path), override("tokenizer.name", path)]
        return ["model=hf", "tokenizer=hf", *found]
    if str(source) in (known := shipped()):
        return [f"model={source}", f"tokenizer={source}"]
    raise InputError(
        f"{source} is neither a finished run (config.yaml) nor a model in Transformers layout "
        "(config.json): give the folder that `loom train` named at its end, or one of "
        f"{', '.join(known)}"
    )


def refusals(config: DictConfig) -> list[Problem]:
    """Techniques that act through training alone, and those that the source was made by already.

    Of one that names layers by `targets`, those of other layers are no repetition.
    """
    return [*_of_training(config), *_repeated(config)]


def _of_training(config: DictConfig) -> Iterator[Problem]:
    for name, node in config.compression.items():
        declared = read_target(node._target_).attributes
        if declared.get("needs_training") or not declared.get("changes_outputs"):
            fix = "use `loom train init=RUN_DIR` with it"
            yield Problem(f"compression.{name}", "acts through training", fix)


def _repeated(config: DictConfig) -> Iterator[Problem]:
    done = list(_done_to(Path(str(config.init)))) if config.init else []
    for name, node in config.compression.items():
        own = set(node.get("targets") or [])
        for run, parent, technique, targets in done:
            if technique == name and not (own and targets and own.isdisjoint(targets)):
                fix = f"compress what it was made of, {parent}" if parent else "take another one"
                yield Problem(f"compression.{name}", f"{run} was made by it already", fix)
                break


def _done_to(source: Path) -> Iterator[tuple[Path, str, str, set[str]]]:
    """What was done to a run and to those it was made of: run, its parent, technique, targets."""
    from loomlab.run.folder import RunFolder

    run, seen = source, set[Path]()
    while (run / "config.yaml").is_file() and run not in seen:
        seen.add(run)
        parent = str(RunFolder(run).summary().get("parent") or "")
        for name, node in (RunFolder(run).config().get("compression") or {}).items():
            yield run, parent, name, set(node.get("targets") or [])
        if not parent:
            return
        run = Path(parent)


def shipped() -> list[str]:
    """The options of `model` that come with weights and a tokenizer of the same name."""
    options = sorted((package_conf() / "model").glob("*.yaml"))
    return [path.stem for path in options if "\npackage:" in path.read_text(encoding="utf-8")]


def _key(override: str) -> str:
    """The axis or top key that an override is about; the whole key of paths."""
    key = override.lstrip("+~").partition("=")[0]
    return key if key.startswith("paths.") else key.partition(".")[0]
