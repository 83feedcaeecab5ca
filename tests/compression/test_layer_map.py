"""Which layers a student takes: every n-th and the last, or as it is told."""

import pytest
import torch

from loomlab.compression.layer_map import count, cut_out, layer_map
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
IDS = torch.randint(2, 50, (3, 24), generator=torch.Generator().manual_seed(0))
TINY = {"num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}


def gpt(layers: int, **more):
    kind = GPTConfig(layers=layers, heads=2, **{"width": 16, **SIZES, **more})
    return kind.build("causal_lm")


def bert(layers: int):
    return BERTConfig(layers=layers, width=16, heads=2, **SIZES).build("masked_lm")


def hf(model_type: str, head: str, layers: int):
    config = {**TINY, "num_hidden_layers": layers}
    return HFModel(architecture_type=model_type, config=config, **SIZES).build(head)


MODELS = {
    "gpt": gpt,
    "bert": bert,
    "hf llama": lambda layers: hf("llama", "causal_lm", layers),
    "hf bert": lambda layers: hf("bert", "masked_lm", layers),
}


@pytest.mark.parametrize(
    ("students", "teachers", "expected"),
    [
        (2, 4, [1, 3]), (3, 12, [3, 7, 11]), (1, 6, [5]), (4, 4, [0, 1, 2, 3]),
        (3, 4, [1, 2, 3]), (4, 2, [0, 0, 1, 1]),
    ],
)  # fmt: skip
def test_every_nth_layer_and_the_last(students: int, teachers: int, expected: list[int]):
    assert layer_map(students, teachers, []) == expected


@pytest.mark.parametrize("given", [[0], [0, 4], [-1, 2]])
def test_layers_that_do_not_fit_are_refused(given: list[int]):
    with pytest.raises(InputError, match="give 2 numbers from 0 to 3"):
        layer_map(2, 4, given)


@pytest.mark.parametrize("name", MODELS)
def test_a_student_cut_out_of_its_teacher(name: str):
    student, teacher = MODELS[name](2), MODELS[name](4)
    assert (count(student.state_dict()), count(teacher.state_dict())) == (2, 4)
    assert cut_out(student, teacher, [0, 2]) == [0, 2]
    again = MODELS[name](4)
    assert cut_out(again, teacher, []) == [0, 1, 2, 3]
    with torch.no_grad():
        expected = teacher.eval()(input_ids=IDS).logits
        torch.testing.assert_close(again.eval()(input_ids=IDS).logits, expected)
    one, other = student.state_dict(), teacher.state_dict()
    layers = [k for k in one if ".1." in k]
    assert layers
    assert all(torch.equal(one[k], other[k.replace(".1.", ".2.")]) for k in layers)


@pytest.mark.parametrize("student", [gpt(2, width=8), gpt(2, vocab_size=60), bert(2)])
def test_another_model_is_refused_by_its_weights(student):
    with pytest.raises(InputError, match=r"start=teacher: the teacher has no such weights as"):
        cut_out(student, gpt(4), [])
