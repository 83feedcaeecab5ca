"""One token per byte."""

from collections.abc import Iterable

from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerFast

from loomlab.tokenizer.base import SPECIAL, Tokenizer, byte_characters, wrap_bytes


class Byte(Tokenizer):
    """One token per UTF-8 byte, nothing learned: id = byte value, 256 to 259 are special."""

    def train(self, documents: Iterable[str] = ()) -> PreTrainedTokenizerFast:
        """The fixed tokenizer; documents are not read."""
        vocab = {character: byte for byte, character in enumerate(byte_characters())}
        backend = Backend(models.BPE(vocab=vocab, merges=[]))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
        return wrap_bytes(backend)
