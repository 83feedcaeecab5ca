"""Labels of words: the same alone and in a batch, in order; what was cut has none."""

import pytest
import torch

from loomlab.model.gpt import GPTConfig
from loomlab.text.tagging import tag_words
from loomlab.tokenizer.byte import Byte

TEXTS = [f"{'word ' * (n % 3)}{n} end" for n in range(40)]


def build():
    torch.manual_seed(0)
    tokenizer = Byte().train()
    labels = {"id2label": {0: "O", 1: "B-X", 2: "I-X"}, "label2id": {"O": 0, "B-X": 1, "I-X": 2}}
    config = GPTConfig(
        layers=1, width=16, heads=2, vocab_size=len(tokenizer), context_length=24,
        initializer_range=0.5, pad_token_id=tokenizer.pad_token_id, **labels,
    )  # fmt: skip
    return config.build("token_classification"), tokenizer


def test_it_is_what_the_model_says_at_first_tokens():
    model, tokenizer = build()
    found = list(tag_words(model, tokenizer, iter(TEXTS), 24))
    assert [[tagged.word for tagged in words] for words in found] == [t.split() for t in TEXTS]
    ids = torch.tensor([[*TEXTS[1].encode(), tokenizer.eos_token_id]])
    expected = model.eval()(ids).logits[0, [0, 5, 7]].softmax(-1)  # "word 1 end"
    for tagged, probabilities in zip(found[1], expected.tolist(), strict=True):
        by_name = dict(zip(("O", "B-X", "I-X"), probabilities, strict=True))
        assert tagged.probabilities == pytest.approx(by_name, abs=1e-5)
        assert tagged.label == max(by_name, key=by_name.__getitem__)
    assert len({tagged.label for words in found for tagged in words}) > 1


def test_words_behind_the_cut_have_no_label():
    model, tokenizer = build()
    (words,) = tag_words(model, tokenizer, ["a bcd efgh"], 6)
    assert [bool(tagged.label) for tagged in words] == [True, True, False]
    assert list(tag_words(model, tokenizer, [], 6)) == []
