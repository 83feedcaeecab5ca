"""What Safetensors computes is what the model computed."""

from collections.abc import Callable

import pytest

from loomlab.format.safetensors import Safetensors


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_logits_of_any_batch_and_length(kind: str, furthest: Callable[..., float]):
    assert furthest(Safetensors(), kind) < 1e-4


def test_a_model_of_our_own_keeps_its_class_and_says_so(
    furthest: Callable[..., float], caplog: pytest.LogCaptureFixture
):
    alibi = {"_target_": "loomlab.position.alibi.ALiBi"}
    assert furthest(Safetensors(), "gpt", position=alibi) < 1e-6
    assert [record.message for record in caplog.records] == [
        "format=safetensors: no class of Transformers computes this model (GPT-2 is nearest and "
        "has no position=alibi): the export loads where loomlab is installed, after "
        "`import loomlab`"
    ]
