"""Losses of inner states are those of their papers, worked out here by other ways."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from loomlab.compression.inner_losses import WIDEN, Inner
from loomlab.compression.inner_pairs import add_widening, paired
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.probe.attention_probabilities import attention_probabilities
from loomlab.run.folder import RunFolder

IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
SIZES = {"vocab_size": 11, "heads": 2, "context_length": 5}
Train = Callable[..., RunFolder]


def model_of(kind: str, layers: int, width: int, seed: int) -> Any:
    torch.manual_seed(seed)
    config, head = {"gpt": (GPTConfig, "causal_lm"), "bert": (BERTConfig, "masked_lm")}[kind]
    return config(**SIZES, layers=layers, width=width).build(head).eval()


def hidden(model: Any, depth: int, **inputs: Tensor) -> Tensor:
    """What a model of so many of its blocks gives, without the norm at its end."""
    part = copy.deepcopy(model.base_model)
    part.layers, part.norm = part.layers[:depth], nn.Identity()
    return part(IDS, **inputs).last_hidden_state


def inner(student: Any, teacher: Any, kind: str, batch: dict[str, Tensor] | None = None) -> Tensor:
    found = Inner(student, teacher, kind, 2.0, paired(student, teacher, []))
    given = {"input_ids": IDS, **(batch or {})}
    found.listen()
    with torch.no_grad():
        teacher(**given)
    student(**given)
    loss = found(given)
    assert not found.student.hidden
    found.leave()
    return loss


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_distilbert_is_the_cosine_of_the_last_states(kind: str):
    student, teacher = model_of(kind, 2, 8, 1), model_of(kind, 4, 8, 2)
    ours, theirs = hidden(student, 2), hidden(teacher, 4)
    dot = (ours * theirs).sum(-1) / ours.norm(dim=-1) / theirs.norm(dim=-1)
    torch.testing.assert_close(inner(student, teacher, "distilbert"), 2 * (1 - dot.mean()))


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_tinybert_pairs_every_second_layer(kind: str):
    student, teacher = model_of(kind, 2, 8, 1), model_of(kind, 4, 8, 2)
    expected = torch.zeros(())
    for ours, theirs in ((0, 0), (1, 2), (2, 4)):
        expected += (hidden(student, ours) - hidden(teacher, theirs)).square().mean()
    seen = torch.ones(5, 5).tril().bool() if kind == "gpt" else torch.ones(5, 5).bool()
    for ours, theirs in ((0, 1), (1, 3)):
        # The softmax takes away a number for each query, so compare what is left of the scores.
        mine, his = scores(student, ours), scores(teacher, theirs)
        expected += (mine - his).square()[..., seen].mean()
    torch.testing.assert_close(inner(student, teacher, "tinybert"), 2 * expected)


def scores(model: Any, layer: int) -> Tensor:
    """Of one attention, from the weights of its projection."""
    block = model.base_model.layers[layer]
    given = hidden(model, layer)
    states = block.attention_norm(given) if block.pre_norm else given
    q, k, _ = block.attention.qkv(states).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
    return q @ k.transpose(-1, -2) / 2  # the root of a head's width, 4


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_minilm_compares_the_last_attention_and_values_at_any_width(kind: str):
    student, teacher = model_of(kind, 1, 8, 1), model_of(kind, 3, 16, 2)
    p, q = attention_probabilities(teacher, IDS)[-1], attention_probabilities(student, IDS)[-1]
    assert p.shape == (2, 2, 5, 5)
    p, q = (relation.clamp(min=1e-30) for relation in (p, q))
    expected = (p * (p / q).log()).sum(-1).mean()
    p, q = values(teacher, 2, 16, kind), values(student, 0, 8, kind)
    expected += (p * (p / q.clamp(min=1e-30)).clamp(min=1e-30).log()).sum(-1).mean()
    found = inner(student, teacher, "minilm")
    torch.testing.assert_close(found, 2 * expected, rtol=1e-4, atol=1e-6)
    found.backward()
    assert all(torch.isfinite(p.grad).all() for p in student.parameters() if p.grad is not None)


def values(model: Any, layer: int, width: int, kind: str) -> Tensor:
    """The relation of values to each other."""
    block, size = model.base_model.layers[layer], width // 2
    given = hidden(model, layer)
    states = block.attention_norm(given) if block.pre_norm else given
    v = block.attention.qkv(states).unflatten(-1, (3, 2, size))[..., 2, :, :].transpose(1, 2)
    products = v @ v.transpose(-1, -2) / size**0.5
    if kind == "gpt":
        products = products.masked_fill(~torch.ones(5, 5).tril().bool(), -torch.inf)
    return products.softmax(-1)


@pytest.mark.parametrize("loss", ["distilbert", "tinybert", "minilm"])
def test_padding_does_not_count(loss: str):
    student, teacher = model_of("bert", 1, 8, 1), model_of("bert", 2, 8, 2)
    keep = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]])
    before = inner(student, teacher, loss, {"attention_mask": keep})
    other = {"attention_mask": keep, "input_ids": torch.where(keep.bool(), IDS, 7)}
    torch.testing.assert_close(inner(student, teacher, loss, other), before)


def test_a_student_like_its_teacher_is_no_distance_away():
    student, teacher = model_of("gpt", 2, 8, 1), model_of("gpt", 2, 8, 1)
    for loss in ("distilbert", "tinybert", "minilm"):
        assert inner(student, teacher, loss).item() == pytest.approx(0.0, abs=1e-6)


def test_another_width_is_reached_by_a_matrix():
    student, teacher = model_of("gpt", 1, 8, 1), model_of("gpt", 2, 16, 2)
    add_widening(student, teacher)
    inner(student, teacher, "tinybert").backward()
    assert student.distill_widen.weight.shape == (16, 8)
    assert student.distill_widen.weight.grad.abs().sum() > 0


SMALL = ["model.layers=4", "model.width=16", "model.heads=2", "runtime=plain"]
TEACHER = [*SMALL, "optimizer.lr=0.02", "callbacks=[]"]
HALF = ["model.layers=2", "compression=[distill]", "compression.distill.alpha=0"]


@pytest.mark.parametrize(
    ("loss", "narrower"),
    [
        ("tinybert", True),
        pytest.param("distilbert", False, marks=pytest.mark.slow),
        pytest.param("minilm", False, marks=pytest.mark.slow),
        pytest.param("distilbert", True, marks=pytest.mark.soak),
        pytest.param("minilm", True, marks=pytest.mark.soak),
    ],
)
def test_a_run_comes_nearer_and_saves_a_plain_model(
    train: Train, train_once: Train, loss: str, narrower: bool
):
    teacher = train_once(*TEACHER)
    named = [f"compression.distill.teacher={teacher.path}", "compression.distill.inner_weight=10"]
    more = [*SMALL, *HALF, *named, f"compression.distill.inner={loss}", "optimizer.lr=0.002"]
    few = train(*more, "budget.steps=1", folder="few").summary()["compression"]["Distill"]
    if narrower:
        narrow = train(*more, "model.width=8", "budget.steps=1", folder="narrow")
        assert not [key for key in load_file(narrow.model / "model.safetensors") if WIDEN in key]
    many = train(*more, "budget.steps=40", folder="many").summary()["compression"]["Distill"]
    assert 0 < many["inner_loss"] < 0.9 * few["inner_loss"]


def test_what_cannot_be_compared_is_refused(train_once: Train, refused: Callable[..., str]):
    teacher = train_once(*TEACHER)
    given = ["compression=[distill]", f"compression.distill.teacher={teacher.path}"]
    said = refused(*given, "compression.distill.inner=minilm", model=[*SMALL[:2], "model.heads=4"])
    assert "has 4, its teacher 2; give model.heads=2" in said
    said = refused(
        *given, "compression.distill.inner=distilbert", "parallelism=tp", model=SMALL[:3]
    )
    assert "take parallelism=ddp, or inner=none" in said
    said = refused(
        *given, "compression.distill.inner=tinybert", "compile=default", model=SMALL[:3]
    )
    assert "take compile=off" in said
