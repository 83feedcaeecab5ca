"""What is passed on of the labels of a corpus."""

from transformers import GPT2Config

from loomlab.text.label_set import LabelSet
from loomlab.text.numbers import Spread


def test_settings_are_those_of_transformers():
    labels = LabelSet(("no", "yes"), (3, 1), 4, 16)
    config = GPT2Config(**labels.head_settings())
    assert config.num_labels == 2
    assert config.id2label == {0: "no", 1: "yes"}
    assert config.label2id == {"no": 0, "yes": 1}


def test_numbers_come_with_their_unit():
    spread = Spread(("stars",), (3.0,), (0.5,))
    settings = LabelSet(("stars",), (4,), 4, 16, spread=spread).head_settings()
    assert settings["id2label"] == {0: "stars"}
    assert (settings["label_mean"], settings["label_deviation"]) == ([3.0], [0.5])
    assert "label_mean" not in LabelSet(("no", "yes"), (3, 1), 4, 16).head_settings()
