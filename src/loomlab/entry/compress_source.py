"""What `loom compress` starts from: a finished run, a model's folder, or a model by its name."""

from __future__ import annotations

import json
from pathlib import Path

from loomlab.catalog.search import package_conf
from loomlab.entry.resume import value_of
from loomlab.errors import InputError
from loomlab.quoting import override, to_type

OF_TRAINING = (
    *("resume", "init", "paths.output_dir", "overwrite", "compression", "parallelism"),
    *("hydra", "name"),
)
MARKER = "loomlab_layers"  # as in loomlab.model.reshaped, which loads torch


def beginning_of(source: Path) -> list[str]:
    """The settings that make the source's model and text, before those of the command line.

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
        found = [override("model.name", path), override("tokenizer.name", path)]
        return ["model=hf", "tokenizer=hf", *found]
    if str(source) in (known := shipped()):
        return [f"model={source}", f"tokenizer={source}"]
    raise InputError(
        f"{source} is neither a finished run (config.yaml) nor a model in Transformers layout "
        "(config.json): give the folder that `loom train` named at its end, or one of "
        f"{', '.join(known)}"
    )


def shipped() -> list[str]:
    """The options of `model` that come with weights and a tokenizer of the same name."""
    options = sorted((package_conf() / "model").glob("*.yaml"))
    return [path.stem for path in options if "\npackage:" in path.read_text(encoding="utf-8")]


def _key(override: str) -> str:
    """The axis or top key that an override is about; the whole key of paths."""
    key = override.lstrip("+~").partition("=")[0]
    return key if key.startswith("paths.") else key.partition(".")[0]
