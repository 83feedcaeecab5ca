"""The stages of a model have each weight once, and one after the other give what it gives."""

import copy
import types
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.parallelism.stages import Stage, cut, held, own_blocks, trunk_of, weights_of

TARGETS = {name: {"_target_": f"loomlab.position.{name}.{cls}"}
           for name, cls in (("learned", "Learned"), ("rope", "RoPE"), ("alibi", "ALiBi"),
                             ("sinusoidal", "Sinusoidal"))}  # fmt: skip
SIZES = {"layers": 3, "width": 8, "heads": 2, "vocab_size": 11, "context_length": 6}


def model(kind: type = GPTConfig, head: str = "causal_lm", **settings: object) -> nn.Module:
    torch.manual_seed(0)
    return kind(**{**SIZES, "initializer_range": 0.5, **settings}).build(head).eval()


def stages_of(whole: nn.Module, count: int) -> list[nn.Module]:
    found = [copy.deepcopy(whole) for _ in range(count)]
    for number, stage in enumerate(found):
        cut(stage, count, number)
    return found


def accepted(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    known = ("input_ids", "document_ids", "inputs_embeds")
    return {key: value for key, value in batch.items() if key in known}


def chained(stages: list[nn.Module], batch: dict[str, Tensor]) -> Tensor:
    """What the last stage gives its head."""
    received: list[Tensor] = []
    for number, part in enumerate(stages):
        inputs = types.SimpleNamespace(model=part, model_inputs=accepted)
        stage = Stage(inputs, number == 0, number == len(stages) - 1, nullcontext)  # type: ignore
        received = [stage.hidden(stage.inputs(batch, *received))]
    return received[0]


@pytest.mark.parametrize("position", TARGETS)
@pytest.mark.parametrize("kind", [(GPTConfig, "causal_lm"), (BERTConfig, "masked_lm")])
def test_stages_in_a_row_give_what_the_model_gives(kind: tuple, position: str):
    whole = model(*kind, position=TARGETS[position])
    ids_BT = torch.randint(0, 11, (2, 6))
    documents_BT = torch.tensor([[0, 0, 0, 1, 1, 1]]).expand(2, -1)
    batch = {"input_ids": ids_BT, "document_ids": documents_BT}
    expected = trunk_of(whole)(**batch).last_hidden_state
    torch.testing.assert_close(chained(stages_of(whole, 3), batch), expected)
    torch.testing.assert_close(chained(stages_of(whole, 2), batch), expected)


@pytest.mark.parametrize("tied", [True, False])
def test_each_weight_is_in_one_stage_but_a_tied_one_in_both_ends(tied: bool):
    whole = model(BERTConfig, "masked_lm", tied=tied)
    sets = [weights_of(whole, held(whole, 3, stage)) for stage in range(3)]
    assert set().union(*sets) == {id(p) for p in whole.parameters()}
    embedding = id(trunk_of(whole).embedding.weight)
    assert sets[0] & sets[2] == ({embedding} if tied else set())
    assert not sets[1] & (sets[0] | sets[2])


def test_names_stay_and_the_rest_is_gone():
    whole = model()
    first, last = stages_of(whole, 2)
    names = [{name for name, _ in part.named_parameters()} for part in (first, last)]
    assert "transformer.layers.0.mlp.up.weight" in names[0]
    assert "transformer.layers.2.mlp.up.weight" in names[1]
    assert names[1] & names[0] == set()
    assert names[0] | names[1] == {*dict(whole.named_parameters()), "lm_head.weight"}


def test_later_stages_take_what_does_not_divide():
    assert [list(own_blocks(5, 3, stage)) for stage in range(3)] == [[0], [1, 2], [3, 4]]
