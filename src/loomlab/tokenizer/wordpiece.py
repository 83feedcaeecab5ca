"""WordPiece, as BERT uses it."""

from collections.abc import Iterable
from typing import Annotated, Any

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerFast

from loomlab.tokenizer.base import Tokenizer, wrap

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST = 100  # characters of a word; the model would read a longer one as unknown


class WordPiece(Tokenizer):
    """WordPiece over words and punctuation, BERT style: white space is not kept.

    Devlin et al. 2019 (arXiv 1810.04805); normalization and splitting as in BERT's release, but
    that words over 100 characters, as in scripts without spaces, are split there and not lost.
    """

    def __init__(
        self, vocab_size: Annotated[int, "[100, inf)"] = 8192, lowercase: bool = False
    ) -> None:
        self.vocab_size, self.lowercase = vocab_size, lowercase

    def settings(self) -> dict[str, Any]:
        """Class and settings, and where long words are split."""
        return {**super().settings(), "longest": LONGEST}

    def train(self, documents: Iterable[str]) -> PreTrainedTokenizerFast:
        """Learn the pieces; ids 0 to 4 are [PAD], [UNK], [CLS], [SEP] (= eos) and [MASK].

        Holds the documents in memory. The same text gives the same vocabulary: the library
        numbers "##x" characters in hash order, which decides ties, so they are given sorted.
        """
        texts = list(documents)
        scratch = self._empty({})
        letters = self._continuing(scratch, set().union(*texts))
        trainer = trainers.WordPieceTrainer(
            vocab_size=self.vocab_size,
            special_tokens=[*PIECES, *(f"##{letter}" for letter in letters)],
            show_progress=False,
        )
        scratch.train_from_iterator(texts, trainer)
        # a fresh backend: in the trained one the "##x" entries count as special tokens
        backend = self._empty(scratch.get_vocab(with_added_tokens=True))
        backend.add_special_tokens([AddedToken(piece, special=True) for piece in PIECES])
        pad, unk, cls, sep, mask = PIECES
        start, end = {"bos_token": cls, "cls_token": cls}, {"eos_token": sep, "sep_token": sep}
        return wrap(backend, **start, **end, pad_token=pad, unk_token=unk, mask_token=mask)

    def _empty(self, vocab: dict[str, int]) -> Backend:
        backend = Backend(models.WordPiece(vocab=vocab, unk_token=PIECES[1]))
        backend.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase)
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.BertPreTokenizer(),
                pre_tokenizers.Split(Regex(f".{{{LONGEST}}}"), "isolated"),
            ]
        )
        backend.decoder = decoders.WordPiece(cleanup=False)
        return backend

    @staticmethod
    def _continuing(backend: Backend, characters: set[str]) -> list[str]:
        """Characters that can go on a word: punctuation and ideographs always stand alone."""
        found: set[str] = set()
        for character in characters:
            normal = backend.normalizer.normalize_str("a" + character)
            if len(backend.pre_tokenizer.pre_tokenize_str(normal)) == 1:
                found.update(normal[1:].strip())
        return sorted(found)
