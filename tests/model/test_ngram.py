"""The n-gram model against fractions worked out by hand and a slow dictionary version."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from loomlab.errors import InputError
from loomlab.model.kneser_ney import FALLBACK, discounts
from loomlab.model.ngram import NGram, NGramModel

A, B, C, D = range(4)
ABACAB = np.array([A, B, A, C, A, B])


def _model(tokens, order, vocab_size):
    model = NGram(order, vocab_size=vocab_size, context_length=16).build("causal_lm")
    model.count(np.asarray(tokens))
    return model


def _distribution(model, context):
    return model(torch.tensor([context])).logits[0, -1].exp().tolist()


def test_discounts_by_hand():
    # n1..n4 = 10, 4, 2, 1: Y = 10 / 18 = 5/9; D1 = 1 - 2 * 5/9 * 4/10 = 5/9;
    # D2 = 2 - 3 * 5/9 * 2/4 = 7/6; D3+ = 3 - 4 * 5/9 * 1/2 = 17/9
    counts = np.array([1] * 10 + [2] * 4 + [3] * 2 + [4] + [9] * 5 + [0] * 7)
    assert discounts(counts) == pytest.approx((5 / 9, 7 / 6, 17 / 9))


@pytest.mark.parametrize(
    "counts",
    [[], [1, 1, 2, 3], [2, 3, 4], [1, 2, *[3] * 9, 4]],
    ids=["nothing", "no n4", "no n1", "D2 below 0"],
)
def test_discounts_fall_back_where_the_counts_do_not_give_them(counts):
    assert discounts(np.array(counts, dtype=np.int64)) == FALLBACK == (0.5, 1.0, 1.5)


def test_order_one_by_hand():
    # Counts 4, 3, 2, 1, 1, 0: n1..n4 = 2, 1, 1, 1; Y = 2 / 4; D1 = 1 - 2/2 * 1/2 = 1/2;
    # D2 = 2 - 3/2 = 1/2; D3+ = 3 - 4/2 = 1. Taken away: 1 + 1 + 1/2 + 1/2 + 1/2 = 7/2 of 11,
    # so each of the 6 tokens gets 7/2 / 11 / 6 = 7/132 on top of (count - D) / 11.
    model = _model([0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4], 1, 6)
    expected = [n / 132 for n in (36 + 7, 24 + 7, 18 + 7, 6 + 7, 6 + 7, 7)]
    assert _distribution(model, [2, 5]) == pytest.approx(expected, rel=1e-5)


def test_order_two_by_hand():
    # a b a c a b, and d never seen. Bigrams: ab 2, ba 1, ac 1, ca 1. No n3: D = 1/2, 1, 3/2.
    # Different tokens before: a 2 (b, c), b 1, c 1, d 0; 4 in all; also D = 1/2, 1, 3/2.
    # Taken away from the unigrams: 1 + 1/2 + 1/2 = 2 of 4, so 1/2 * 1/4 = 1/8 for everyone:
    # P(a) = 1/4 + 1/8 = 3/8; P(b) = P(c) = 1/8 + 1/8 = 1/4; P(d) = 1/8.
    model = _model(ABACAB, 2, 4)
    unigram = [3 / 8, 1 / 4, 1 / 4, 1 / 8]
    assert _distribution(model, [D]) == pytest.approx(unigram, rel=1e-5)
    # After a: 3 in all, taken away 1 + 1/2, so the unigrams weigh 1/2:
    # P(b|a) = 1/3 + 1/8; P(c|a) = 1/6 + 1/8; P(a|a) = 3/16; P(d|a) = 1/16.
    expected = [3 / 16, 11 / 24, 7 / 24, 1 / 16]
    assert _distribution(model, [A]) == pytest.approx(expected, rel=1e-5)
    # After b: only ba, once: P(a|b) = 1/2 + 1/2 * 3/8.
    expected = [11 / 16, 1 / 8, 1 / 8, 1 / 16]
    assert _distribution(model, [B]) == pytest.approx(expected, rel=1e-5)


def test_order_three_by_hand():
    # Trigrams aba, bac, aca, cab once each; bigrams by what is before them: ab 1 (c; nothing is
    # before the first), ba 1, ac 1, ca 1; unigrams as above. D = 1/2, 1, 3/2 everywhere.
    model = _model(ABACAB, 3, 4)
    # After a alone: ab 1, ac 1 of 2, taken away 1: P(b|a) = P(c|a) = 1/4 + 1/2 * 1/4.
    after_a = [3 / 16, 3 / 8, 3 / 8, 1 / 16]
    assert _distribution(model, [A]) == pytest.approx(after_a, rel=1e-5)
    assert _distribution(model, [D, A]) == pytest.approx(after_a, rel=1e-5)
    # After ca: cab once: P(b|ca) = 1/2 + 1/2 * 3/8, the others half of what they have after a.
    expected = [3 / 32, 11 / 16, 3 / 16, 1 / 32]
    assert _distribution(model, [C, A]) == pytest.approx(expected, rel=1e-5)
    # After ab: aba once: P(a|ab) = 1/2 + 1/2 * P(a|b) = 1/2 + 1/2 * 11/16.
    assert _distribution(model, [A, B])[A] == pytest.approx(27 / 32, rel=1e-5)


class Dictionaries:
    """The definition, word for word: counts in dictionaries, probability by recursion."""

    def __init__(self, tokens, order, vocab_size):
        self.vocab_size = vocab_size
        self.counts = {order: Counter(self._grams(tokens, order))}
        for k in range(order - 1, 0, -1):
            self.counts[k] = Counter(g[1:] for g in set(self._grams(tokens, k + 1)))
        self.discounts = {}
        self.following = defaultdict(dict)
        for k, counts in self.counts.items():
            self.discounts[k] = self._discounts(Counter(counts.values()))
            for gram, count in counts.items():
                self.following[gram[:-1]][gram[-1]] = count

    @staticmethod
    def _grams(tokens, k):
        return [tuple(tokens[i : i + k]) for i in range(len(tokens) - k + 1)]

    @staticmethod
    def _discounts(n):
        if 0 in (n[1], n[2], n[3], n[4]):
            return {1: 0.5, 2: 1.0, 3: 1.5}
        y = n[1] / (n[1] + 2 * n[2])
        found = {k: k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)}
        good = all(0 < d <= k for k, d in found.items())
        return found if good else {1: 0.5, 2: 1.0, 3: 1.5}

    def probability(self, context, word):
        lower = self.probability(context[1:], word) if context else 1 / self.vocab_size
        following = self.following.get(context)
        if following is None:
            return lower
        discount = self.discounts[len(context) + 1]
        total = sum(following.values())
        taken = {w: discount[min(c, 3)] for w, c in following.items()}
        own = following.get(word, 0) - taken.get(word, 0)
        return own / total + sum(taken.values()) / total * lower


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_dictionaries_on_random_text(order, seed):
    generator = np.random.default_rng(seed)
    vocab_size = 12
    tokens = np.minimum(generator.geometric(0.25, 600), vocab_size - 1) - 1
    slow = Dictionaries(tokens.tolist(), order, vocab_size)
    model = _model(tokens, order, vocab_size)
    rows = [tokens[100:110], generator.integers(0, vocab_size, 10), tokens[-10:]]
    logits = model(torch.tensor(np.stack(rows))).logits
    for b, row in enumerate(rows):
        for t in range(10):
            context = tuple(row[max(0, t + 2 - order) : t + 1].tolist()) if order > 1 else ()
            expected = [math.log(slow.probability(context, w)) for w in range(vocab_size)]
            assert logits[b, t].tolist() == pytest.approx(expected, abs=1e-4)


def test_the_random_text_has_real_discounts():
    tokens = np.minimum(np.random.default_rng(0).geometric(0.25, 600), 11) - 1
    slow = Dictionaries(tokens.tolist(), 3, 12)
    assert slow.discounts[3] != {1: 0.5, 2: 1.0, 3: 1.5}


def test_distributions_sum_to_one_after_seen_and_unseen_contexts_and_over_chunks():
    tokens = np.random.default_rng(0).integers(0, 30, 2000) % 21
    model = _model(tokens.astype(np.uint16), 4, 40)
    ids = torch.from_numpy(np.random.default_rng(1).integers(0, 40, (3, 400)))
    ids[0] = torch.from_numpy(tokens[:400])
    logits = model(ids).logits
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(3, 400), atol=1e-5, rtol=0)
    for row in range(3):
        assert torch.equal(model(ids[row : row + 1]).logits[0], logits[row])


def test_log_prob_is_the_forward_gathered_at_the_targets():
    tokens = np.random.default_rng(0).integers(0, 9, 500)
    model = _model(tokens, 3, 12)
    ids = torch.from_numpy(np.random.default_rng(1).integers(0, 12, (2, 30)))
    targets = ids.roll(-1, dims=1)
    expected = model(ids).logits.gather(2, targets[..., None]).squeeze(2)
    torch.testing.assert_close(model.log_prob(ids, targets), expected)


def test_a_pattern_is_learned_and_a_second_count_forgets_the_first():
    model = _model([0, 1, 2] * 200, 4, 5)
    assert _distribution(model, [2, 0, 1])[2] > 0.95
    model.count(np.array([0, 1, 3] * 200))
    assert _distribution(model, [3, 0, 1])[3] > 0.95
    assert _distribution(model, [2, 0, 1])[2] < 0.05


def test_saved_and_loaded_is_the_same_model(tmp_path):
    config = NGram(3, vocab_size=20, context_length=16, eos_token_id=7, pad_token_id=None)
    model = config.build("causal_lm")
    model.count(np.random.default_rng(0).integers(0, 15, 400))
    model.save_pretrained(tmp_path / "model")
    loaded = NGramModel.from_pretrained(tmp_path / "model")
    ids = torch.randint(0, 20, (2, 9), generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded(ids).logits, model(ids).logits)
    assert loaded.config.to_dict() == config.to_dict()
    assert loaded.config.eos_token_id == 7
    with pytest.raises(InputError, match=r"config\.json is missing"):
        NGramModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_an_uncounted_model_is_uniform(order):
    model = NGram(order, vocab_size=8, context_length=16).build("causal_lm")
    ids = torch.arange(8)[None]
    torch.testing.assert_close(model(ids).logits, torch.full((1, 8, 8), -math.log(8)))
    torch.testing.assert_close(model.log_prob(ids, ids), torch.full((1, 8), -math.log(8)))


def test_stored_ngrams_are_counted_over_all_lengths():
    # a b a c a b: 4 vocabulary entries, bigrams ab ba ac ca, trigrams aba bac aca cab
    assert _model(ABACAB, 3, 4).parameters_count == 12
    assert list(_model(ABACAB, 3, 4).parameters()) == []


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="masked_lm"):
        NGram(vocab_size=4).build("masked_lm")
    with pytest.raises(InputError, match=r"model\.order: 5"):
        _model([0, 1, 2], 5, 4)
    with pytest.raises(InputError, match="vocabulary has 3 entries"):
        _model([0, 1, 5], 2, 3)
