"""Schemas made from signatures: what OmegaConf then refuses by itself."""

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.catalog.schema import option_schema
from loomlab.catalog.source import read_target


def schema(target: str):
    return OmegaConf.structured(option_schema(read_target(target)))


def test_fields_are_the_settings_with_their_defaults():
    node = schema("loomlab.optimizer.adamw.AdamW")
    assert node == {
        "_target_": "loomlab.optimizer.adamw.AdamW",
        "lr": 1e-3,
        "betas": [0.9, 0.95],
        "eps": 1e-8,
        "weight_decay": 0.1,
    }


def test_inherited_settings_are_there_and_run_time_values_are_not():
    node = schema("loomlab.model.bert.BERTConfig")
    assert node.norm_order == "post"
    assert node.width == 256
    assert "vocab_size" not in node
    assert "attention" not in node


def test_lists_of_two_schemas_are_not_shared():
    one, other = (schema("loomlab.optimizer.adamw.AdamW") for _ in range(2))
    one.betas[0] = 0.5
    assert other.betas[0] == 0.9


@pytest.mark.parametrize(
    ("key", "value"), [("lr", "abc"), ("betas", 0.9), ("betas", ["x", "y"]), ("lrr", 1)]
)
def test_wrong_types_and_unknown_keys_raise(key: str, value: object):
    node = schema("loomlab.optimizer.adamw.AdamW")
    with pytest.raises(OmegaConfBaseException):
        OmegaConf.update(node, key, value)


def test_optional_settings_take_null():
    node = schema("loomlab.trainer.default.Trainer")
    node.gradient_clip_val = None
    assert node.gradient_clip_val is None
    with pytest.raises(OmegaConfBaseException):
        node.log_every_n_steps = None
