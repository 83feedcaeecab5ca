"""Interpolated modified Kneser-Ney smoothing, counted with sorting instead of dictionaries.

Source: Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling",
section 3 (equations 26 to 28 of the technical report TR-10-98).

The n-grams of each length form one level of a tree: an n-gram is its first n-1 tokens (a node of
the level above) and one more token, packed into a single integer: node * vocabulary + token. Each
level is sorted by it, so what follows a context lies in one piece and is found by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

# D1, D2, D3+ where the counts do not give them; those of KenLM's --discount_fallback.
FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Level:
    """All n-grams of one length n >= 2, sorted by key.

    keys: node of the first n-1 tokens in the level above * vocabulary + last token.
    alpha: discounted probability of the last token after the others.
    gamma: what is left for the level above, one weight per node of it.
    """

    keys: Ints
    alpha: Floats
    gamma: Floats


@dataclass(frozen=True)
class Tables:
    """An n-gram model: P(token) for the whole vocabulary and the levels 2 to n."""

    unigram: Floats
    levels: list[Level]


def kneser_ney(tokens: np.ndarray, vocab_size: int, order: int) -> Tables:
    """Count a stream of token ids and smooth it.

    The stream is taken as it is: n-grams run across the ends of documents, and the token that
    marks such an end is predicted and conditioned on like any other. The longest n-grams have
    their counts, shorter ones the number of different tokens before them. The lowest order is
    interpolated with the uniform distribution, so nothing has probability 0.

    Args:
        tokens: token ids below vocab_size, at least `order` of them.
        vocab_size: V; V * len(tokens) must stay below 2**63.
        order: length n of the longest n-grams.
    """
    keys, counts = _count(tokens.astype(np.int64, copy=False), vocab_size, order)
    lowest, left = _smooth(counts[0], np.zeros(vocab_size, dtype=np.int64), 1)
    unigram = lowest + left[0] / vocab_size
    levels = []
    for above, key, count in zip(counts, keys, counts[1:], strict=False):
        alpha, gamma = _smooth(count, key // vocab_size, len(above))
        levels.append(Level(key, alpha.astype(np.float32), gamma.astype(np.float32)))
    return Tables(unigram.astype(np.float32), levels)


def uniform(vocab_size: int, order: int) -> Tables:
    """The model before it has seen anything: every token is as likely as any other."""
    empty = Level(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))
    first = Level(empty.keys, empty.alpha, np.ones(vocab_size, np.float32))
    levels = [first, *[empty] * (order - 2)] if order > 1 else []
    return Tables(np.full(vocab_size, 1 / vocab_size, np.float32), levels)


def discounts(counts: Ints) -> tuple[float, float, float]:
    """D1, D2 and D3+ of one level from its counts of counts n1 to n4.

    Y = n1 / (n1 + 2 n2); Dk = k - (k + 1) Y n(k+1) / nk. Where one of n1 to n4 is 0, as for
    tiny corpora and for the lowest order of byte vocabularies, or a discount falls outside
    (0, k], the level gets the fixed ones of `FALLBACK`.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not all(n):
        return FALLBACK
    y = n[0] / (n[0] + 2 * n[1])
    found = [k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3)]
    if not all(0 < d <= k for k, d in enumerate(found, start=1)):
        return FALLBACK
    return found[0], found[1], found[2]


def _count(tokens: Ints, vocab_size: int, order: int) -> tuple[list[Ints], list[Ints]]:
    """Keys of the levels 2 to n, and the (continuation) counts of the levels 1 to n."""
    nodes = tokens  # the node of the n-gram that starts at each position
    size = vocab_size
    all_keys: list[Ints] = []
    counts: list[Ints] = []
    for length in range(2, order + 1):
        packed = nodes[:-1] * vocab_size + tokens[length - 1 :]
        keys, first, longer = np.unique(packed, return_index=True, return_inverse=True)
        # each different n-gram without its first token is one more way to get there
        counts.append(np.bincount(nodes[first + 1], minlength=size))
        all_keys.append(keys)
        nodes, size = longer, len(keys)
    counts.append(np.bincount(nodes, minlength=size))
    return all_keys, counts


def _smooth(counts: Ints, parents: Ints, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Discounted probability of every n-gram and left-over weight of every context (size,).

    A context that was never followed by anything leaves all its weight.
    """
    taken = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    total = np.bincount(parents, weights=counts, minlength=size)
    removed = np.bincount(parents, weights=taken, minlength=size)
    seen = total > 0
    total[~seen] = 1.0
    return (counts - taken) / total[parents], np.where(seen, removed / total, 1.0)
