"""Labels of texts: the same alone and in a batch, in order, one or several."""

import pytest
import torch
from tests.tiny_model import tiny_config

from loomlab.model.gpt import GPTConfig
from loomlab.text.label_set import LabelSet
from loomlab.text.numbers import Spread
from loomlab.text.prediction import predict_labels, predict_numbers
from loomlab.tokenizer.byte import Byte

NAMES = LabelSet(("a", "b", "c"), (1, 1, 1), 3, 16)
TEXTS = [f"{'text ' * (n % 5)}{n}" for n in range(70)]


def build(problem_type: str, labels: LabelSet = NAMES):
    torch.manual_seed(0)
    tokenizer = Byte().train()
    config = tiny_config(GPTConfig, tokenizer, 16, **labels.head_settings())
    config.problem_type = problem_type
    return config.build("sequence_classification"), tokenizer


def test_one_label_a_text():
    model, tokenizer = build("single_label_classification")
    found = list(predict_labels(model, tokenizer, iter(TEXTS), 16))
    assert [predicted.text for predicted in found] == TEXTS
    for predicted in found:
        assert sum(predicted.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert predicted.labels == tuple(predicted.probabilities)[:1]
        assert (
            max(predicted.probabilities.values()) == predicted.probabilities[predicted.labels[0]]
        )
    assert len({predicted.labels for predicted in found}) > 1
    (alone,) = predict_labels(model, tokenizer, [TEXTS[3]], 16)
    assert alone.probabilities == pytest.approx(found[3].probabilities, abs=1e-5)


def test_it_is_what_the_model_says():
    model, tokenizer = build("single_label_classification")
    (predicted,) = predict_labels(model, tokenizer, ["some text"], 16)
    ids = torch.tensor([[*b"some text", tokenizer.eos_token_id]])
    expected = model.eval()(ids).logits[0].softmax(-1).tolist()
    assert [predicted.probabilities[name] for name in "abc"] == pytest.approx(expected)


def test_texts_are_read_as_they_are_needed_and_without_gradients():
    model, tokenizer = build("single_label_classification")
    model.register_forward_hook(lambda *_: with_gradients.append(torch.is_grad_enabled()))
    with_gradients: list[bool] = []
    texts = iter(TEXTS)
    next(predict_labels(model, tokenizer, texts, 16))
    assert len(list(texts)) > 30
    assert with_gradients == [False]


def test_several_labels_a_text():
    model, tokenizer = build("multi_label_classification")
    found = list(predict_labels(model, tokenizer, TEXTS, 16))
    ids = torch.tensor([[*TEXTS[0].encode(), tokenizer.eos_token_id]])
    expected = model.eval()(ids).logits[0].sigmoid().tolist()
    assert [found[0].probabilities[name] for name in "abc"] == pytest.approx(expected, abs=1e-5)
    for predicted in found:
        likely = {name for name, p in predicted.probabilities.items() if p >= 0.5}
        assert set(predicted.labels) == likely
    assert {len(predicted.labels) for predicted in found} != {1}


def test_a_long_text_is_cut_and_training_mode_kept():
    model, tokenizer = build("single_label_classification")
    model.train()
    one, other = predict_labels(model, tokenizer, ["x" * 15, "x" * 400], 16)
    assert one.probabilities == pytest.approx(other.probabilities)
    assert model.training
    assert list(predict_labels(model, tokenizer, [], 16)) == []


def test_numbers_are_said_in_their_own_unit():
    spread = Spread(("height", "weight"), (170.0, -3.5), (12.0, 0.25))
    model, tokenizer = build("regression", LabelSet(spread.names, (3, 3), 3, 16, spread=spread))
    found = list(predict_numbers(model, tokenizer, iter(TEXTS), 16))
    assert [text for text, _ in found] == TEXTS
    hidden = model.eval().transformer(torch.tensor([[*TEXTS[0].encode(), tokenizer.eos_token_id]]))
    head = model.score(hidden.last_hidden_state[0, -1]).tolist()
    expected = {"height": head[0] * 12 + 170, "weight": head[1] * 0.25 - 3.5}
    assert found[0][1] == pytest.approx(expected, rel=1e-5)
    assert len({round(numbers["height"], 3) for _, numbers in found}) > 5
