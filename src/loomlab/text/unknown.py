"""Text that a tokenizer has no token for, and so does not carry."""

from __future__ import annotations

from typing import Any

MOST = 0.01  # share of the held-out bytes up to which bits per byte still mean what they say


def too_much(share: float) -> bool:
    """Whether so much of a text is unknown that its bits per byte say nothing.

    An unknown token is easily told however much text it stands for, and all of it is counted.
    """
    return share > MOST


def unread(summary: dict[str, Any]) -> float:
    """The share of the text that a run's likelihoods count and its tokens do not carry.

    0 where it is small, or the run predicts labels.
    """
    corpus = summary.get("corpus")
    share = corpus.get("unknown_share", 0.0) if isinstance(corpus, dict) else 0.0
    return float(share) if too_much(share) and summary.get("kind") != "labels" else 0.0


class Unknown:
    """Counts the bytes of texts that became the unknown token.

    backend: of the `tokenizers` library. token: its unknown token, None if it has none.
    """

    def __init__(self, backend: Any, token: int | None) -> None:
        self.backend, self.token = backend, token

    def bytes_of(self, text: str, ids: list[int]) -> int:
        """UTF-8 bytes of the text that are under the unknown token among its `ids`.

        Where a token stands in its text is found only if there is an unknown one: it costs twice.
        """
        if self.token is None or self.token not in ids:
            return 0
        encoding = self.backend.encode(text, add_special_tokens=False)
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        return sum(len(text[a:b].encode()) for token, (a, b) in spans if token == self.token)
