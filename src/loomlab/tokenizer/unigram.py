"""Unigram, as SentencePiece uses it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerFast

from loomlab.tokenizer.base import SPECIAL, Tokenizer, wrap_bytes

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
UNK = SPECIAL.index("<|unk|>")
RARE = 1.0  # how far below the rarest longer piece a character comes that was not worth keeping
Piece = tuple[str, float]


class Unigram(Tokenizer):
    """Unigram pieces, SentencePiece style with byte fallback: any text comes back exactly.

    Kudo 2018 (arXiv 1804.10959). A space is the first character of the word behind it; a line
    end is a piece of its own. Characters that are no piece are spelled in UTF-8 bytes.
    """

    def __init__(self, vocab_size: Annotated[int, "[512, inf)"] = 8192) -> None:
        self.vocab_size = vocab_size

    def train(self, documents: Iterable[str]) -> PreTrainedTokenizerFast:
        """Learn at most vocab_size - 260 pieces; ids 0 to 3 are special, 4 to 259 the bytes.

        Holds the documents in memory. The same text gives the same vocabulary.
        """
        room = self.vocab_size - len(SPECIAL) - len(BYTES)
        scratch = _around(models.Unigram())
        trainer = trainers.UnigramTrainer(
            vocab_size=len(SPECIAL) + room,
            special_tokens=list(SPECIAL),
            unk_token=SPECIAL[UNK],
            show_progress=False,
        )
        scratch.train_from_iterator(_without_rare(list(documents), room // 2), trainer)
        learned = json.loads(scratch.to_str())["model"]["vocab"][len(SPECIAL) :]
        fixed = [(token, 0.0) for token in (*SPECIAL, *BYTES)]
        vocab = [*fixed, *_in_order([(piece, score) for piece, score in learned])]
        backend = _around(models.Unigram(vocab, unk_id=UNK, byte_fallback=True))
        backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
        return wrap_bytes(backend)


def _around(model: models.Unigram) -> Backend:
    backend = Backend(model)
    apart = Regex("[\n<]")  # "<", so that text which spells "<0x41>" does not become that byte
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(apart, "isolated"), pre_tokenizers.Metaspace(prepend_scheme="never")]
    )
    backend.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never"), decoders.Fuse()]
    )
    return backend


def _without_rare(texts: list[str], kept: int) -> Iterator[str]:
    """The texts with line ends for all but the `kept` most frequent characters.

    Every character that is left becomes a piece: of thousands, the rare ones stay bytes.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    by_frequency = sorted(counts, key=lambda character: (-counts[character], character))
    rare = dict.fromkeys(map(ord, by_frequency[kept:]), "\n")
    yield from (text.translate(rare) for text in texts) if rare else texts


def _in_order(pieces: list[Piece]) -> list[Piece]:
    """The same pieces for the same text: the library leaves noise and hash order in scores.

    It sums in the order threads finish, and appends the characters it did not keep in hash
    order, 0.0001 apart; here they all come `RARE` below the rarest longer piece.
    """
    rounded = [(piece, round(score, 6)) for piece, score in pieces]
    lowest = min((score for piece, score in rounded if len(piece) > 1), default=-RARE)
    level = [(piece, score if score >= lowest else lowest - RARE) for piece, score in rounded]
    return sorted(level, key=lambda pair: (-pair[1], pair[0]))
