"""What is passed on of the labels of a corpus."""

from transformers import GPT2Config

from loomlab.text.label_set import LabelSet


def test_settings_are_those_of_transformers():
    labels = LabelSet(("no", "yes"), (3, 1), 4, 16)
    config = GPT2Config(**labels.head_settings())
    assert config.num_labels == 2
    assert config.id2label == {0: "no", 1: "yes"}
    assert config.label2id == {"no": 0, "yes": 1}
