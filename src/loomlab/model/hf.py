"""Any model of Hugging Face Transformers, from a checkpoint or from its configuration class."""

from dataclasses import fields
from typing import Any

from loomlab.errors import InputError

# bert and gpt register themselves, so that checkpoints of this package load as well.
from loomlab.model import bert, gpt, hf_check, hub  # noqa: F401
from loomlab.model.loading import HEADS, load_pretrained

# These count positions from pad_token_id + 1, so they need so many more than tokens.
OFFSET_BY_PADDING = {
    *("camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta"),
    *("roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
}
ARCHITECTURES = {"causal_lm": "decoder", "masked_lm": "encoder"}


class HFModel:
    """Any Transformers checkpoint (`name`) or configuration (`architecture_type`)."""

    architecture = "any"
    owns = ("attention", "position")
    problem_check = "loomlab.model.hf_check.problems"
    refuses = {"corpus.document_mask": (True,)}
    because = {"corpus.document_mask": "Transformers models take no document ids"}

    def __init__(
        self,
        name: str | None = None,
        architecture_type: str | None = None,
        config: dict[str, Any] = {},  # noqa: B006 (read as a literal default, never changed)
        *,
        vocab_size: int,
        context_length: int,
        attention: dict[str, Any] | None = None,
        position: dict[str, Any] | None = None,
        pad_token_id: int | None = None,
        eos_token_id: int | None = None,
        bos_token_id: int | None = None,
        mask_token_id: int | None = None,
    ) -> None:
        """Take settings; `attention` and `position` are not used, such a model has its own.

        Args:
            name: hub name or local folder, for weights and configuration.
            architecture_type: a `model_type` of Transformers, such as llama, for a new model.
            config: values of the model's own configuration class.
        """
        self.name, self.architecture_type, self.overrides = name, architecture_type, dict(config)
        self.vocab_size, self.context_length = vocab_size, context_length
        self.special_ids = {
            "pad_token_id": pad_token_id,
            "eos_token_id": eos_token_id,
            "bos_token_id": bos_token_id,
            "mask_token_id": mask_token_id,
        }

    @staticmethod
    def problems(settings: dict[str, Any], architecture: str) -> list[str]:
        """What is wrong with `settings` for an objective that wants `architecture`, unbuilt.

        `architecture` is "decoder" or "encoder". Answers in words, an empty list if all is well.
        """
        return hf_check.problems(settings, architecture)

    def build(self, head: str) -> Any:
        """The Transformers model itself with `head`, "causal_lm" or "masked_lm", in float32.

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
        }
        architecture = ARCHITECTURES[head]
        _refuse(self.problems(settings, architecture))
        model = self._load(head) if self.name else self._create(head)
        if head == "causal_lm":
            hf_check.require_causal(model, self.vocab_size)
        return model

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
                f"model.config does not fit {self.architecture_type}: {_first_line(error)}"
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

        name = str(self.name)
        local = hub.require_checkpoint(name)
        access = {"local_files_only": local, "trust_remote_code": False}
        try:
            config = transformers.AutoConfig.from_pretrained(name, **self.overrides, **access)
            _refuse(hf_check.type_problems(config.model_type, ARCHITECTURES[head], self.overrides))
            self._require_room(config, 0)
            self._set_special_ids(config, head)
            return getattr(transformers, HEADS[head]).from_pretrained(
                name, config=config, dtype="float32", **access
            )
        except InputError:
            raise
        except (OSError, ValueError) as error:
            raise InputError(
                f"model.name={self.name} cannot be loaded: {_first_line(error)}"
            ) from error

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

    def _require_room(self, config: Any, spare: int) -> None:
        """Refuse a vocabulary or a context that is too small for the data."""
        text = config.get_text_config()
        vocabulary = getattr(text, "vocab_size", None)
        source = f"model.name={self.name}" if self.name else "model.config.vocab_size"
        if vocabulary is not None and vocabulary < self.vocab_size:
            raise InputError(
                f"{source} has a vocabulary of {vocabulary}, the tokenizer one of "
                f"{self.vocab_size}: choose a tokenizer of at most {vocabulary} tokens."
            )
        places = getattr(text, "max_position_embeddings", None)
        if isinstance(places, int) and 0 < places < self.context_length + spare:
            raise InputError(
                f"The model has {places} positions, too few for sequences of "
                f"{self.context_length} tokens: give a shorter sequence_length."
            )


def _refuse(problems: list[str]) -> None:
    if problems:
        raise InputError(" ".join(problems))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
