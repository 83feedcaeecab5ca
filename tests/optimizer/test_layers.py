"""Depth by name, rates by depth, and weights that rest; for our models and those of others."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.marks import fast_slow_soak
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

from loomlab.compose.gate import check
from loomlab.entry.resume import refuse_changes
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.optimizer.adafactor import Adafactor
from loomlab.optimizer.adamw import AdamW
from loomlab.optimizer.layers import decay_by_layer, freeze
from loomlab.optimizer.lion import Lion
from loomlab.optimizer.muon import Muon
from loomlab.optimizer.schedule_free import ScheduleFree
from loomlab.run.folder import RunFolder
from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.cosine import Cosine

Train = Callable[..., RunFolder]
SIZES = {"layers": 2, "width": 16, "heads": 2, "vocab_size": 32, "context_length": 8}
RUN = ["model.layers=2", "model.width=16", "model.heads=2", "callbacks=[checkpoint]"]


def gpt(**settings: Any) -> nn.Module:
    torch.manual_seed(0)
    return GPTConfig(tied=False, **SIZES, **settings).build("causal_lm")


def bert_classifier() -> nn.Module:
    sizes = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2}
    return BertForSequenceClassification(BertConfig(vocab_size=32, intermediate_size=32, **sizes))


def rates(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, float]:
    """The rate of every weight by name."""
    names = {id(p): name for name, p in model.named_parameters()}
    found = {
        names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]
    }
    assert found.keys() == {n for n, p in model.named_parameters() if p.requires_grad}
    return found


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            gpt(),
            {
                "transformer.embedding.weight": 0.125,
                "transformer.position.table.weight": 0.125,
                "transformer.layers.0.mlp.up.weight": 0.25,
                "transformer.layers.0.mlp.up.bias": 0.25,
                "transformer.layers.1.attention_norm.weight": 0.5,
                "transformer.norm.weight": 1.0,
                "lm_head.weight": 1.0,
            },
        ),
        (
            bert_classifier(),
            {
                "bert.embeddings.word_embeddings.weight": 0.125,
                "bert.embeddings.LayerNorm.weight": 0.125,
                "bert.encoder.layer.0.attention.self.query.weight": 0.25,
                "bert.encoder.layer.1.output.dense.bias": 0.5,
                "bert.pooler.dense.weight": 1.0,
                "classifier.weight": 1.0,
            },
        ),
        (
            GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=32)),
            {
                "transformer.wte.weight": 0.125,
                "transformer.wpe.weight": 0.125,
                "transformer.h.0.attn.c_attn.weight": 0.25,
                "transformer.h.1.ln_2.bias": 0.5,
                "transformer.ln_f.weight": 1.0,
            },
        ),
    ],
    ids=["gpt", "hf_bert", "hf_gpt2"],
)
def test_rates_fall_with_the_depth(model: nn.Module, expected: dict[str, float]):
    optimizer = AdamW(lr=1.0, model=model)
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    decay_by_layer(optimizer, model, 0.5)
    found = rates(optimizer, model)
    assert {name: found[name] for name in expected} == expected
    again = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    assert again == decayed, "weight decay stays where it was"


def test_an_optimizer_of_parts_keeps_them_apart():
    """Muon for matrices and AdamW for the rest, each at its own rate; the step is that of both."""
    model, plain = gpt(), gpt()
    optimizer, reference = Muon(lr=0.1, adamw_lr=0.01, model=model), Muon(model=plain)
    decay_by_layer(optimizer, model, 0.5)
    found = rates(optimizer, model)
    assert found["transformer.layers.0.mlp.up.weight"] == pytest.approx(0.025)
    assert found["transformer.layers.0.mlp.up.bias"] == pytest.approx(0.0025)
    assert found["lm_head.weight"] == pytest.approx(0.01)
    x = torch.arange(8)[None]
    for each, stepper in ((model, optimizer), (plain, reference)):
        each(x, labels=x).loss.backward()
        stepper.step()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert optimizer.state[one].keys() == reference.state[other].keys()


@pytest.mark.parametrize("kind", [AdamW, Muon, ScheduleFree])
def test_schedules_keep_the_ratios(kind: type):
    model = gpt()
    optimizer = kind(model=model)
    decay_by_layer(optimizer, model, 0.5)
    before = rates(optimizer, model)
    schedule = Cosine(warmup=2, optimizer=optimizer, context=ScheduleContext.fixed(10, 8))
    after = rates(optimizer, model)
    assert {after[name] / before[name] for name in before} == {0.5}
    assert len(schedule.get_last_lr()) == len(optimizer.param_groups)


def test_a_model_without_layers_is_refused():
    model = nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"layer_decay: Linear has no numbered layers"):
        decay_by_layer(AdamW(model=model), model, 0.5)


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        (["layers.0"], "transformer.layers.0."),
        (["transformer.layers.0"], "transformer.layers.0."),
        (["layers.?"], "transformer.layers."),
        (["layers.*.mlp", "layers.*.mlp_norm"], "mlp"),
        (["lm_head"], "lm_head."),
        (["trunk"], "transformer."),
    ],
    ids=str,
)
def test_patterns(patterns: list[str], frozen: str):
    model = gpt()
    names = freeze(model, patterns)
    assert sorted(names) == sorted(n for n, _ in model.named_parameters() if frozen in n)
    assert sorted(names) == sorted(n for n, p in model.named_parameters() if not p.requires_grad)


def test_embeddings_are_all_that_is_below_the_first_layer():
    torch.manual_seed(0)
    model = BERTConfig(**SIZES).build("masked_lm")
    assert set(freeze(model, ["embeddings"])) == {
        "transformer.embedding.weight", "transformer.embedding_norm.weight",
        "transformer.embedding_norm.bias", "transformer.position.table.weight",
    }  # fmt: skip
    names = freeze(bert_classifier(), ["embeddings"])
    assert all(n.startswith("bert.embeddings.") for n in names)
    assert len(names) == 5


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("layrs.0", "did you mean layers.0?"),
        ("layers.7", "did you mean layers.1?"),
        ("embeding", "did you mean embedding?"),
        ("*.nothing.*", "places: embedding, embeddings, layers, layers.0"),
    ],
)
def test_a_pattern_without_weights_is_refused(pattern: str, words: str):
    with pytest.raises(InputError, match=r"freeze: .* is the name of no weights") as refusal:
        freeze(gpt(), [pattern])
    assert words in str(refusal.value)


def test_frozen_weights_rest_to_the_bit_and_cost_no_state(train: Train):
    start = train(*RUN, "budget.steps=1", "optimizer.lr=1e-30", folder="start")
    before = load_file(start.model / "model.safetensors")
    folder = train(*RUN, "budget.steps=4", "freeze=[embeddings,layers.0]", f"init={start.path}")
    after = load_file(folder.model / "model.safetensors")
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert not any("embedding" in k or "layers.0." in k for k in moved)
    assert {"transformer.norm.weight", "transformer.layers.1.mlp.up.weight"} <= moved
    (state,) = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)["optimizer_states"]
    trained = sum(v.numel() for k, v in after.items() if k in moved)
    assert sum(s["exp_avg"].numel() for s in state["state"].values()) == trained


def test_everything_frozen_is_refused(train: Train):
    with pytest.raises(InputError, match="no trainable parameter"):
        train(*RUN, "freeze=['*']")


@pytest.mark.parametrize("kind", [AdamW, Muon, ScheduleFree, Adafactor, Lion])
def test_many_groups_are_taken_up_exactly(kind: type):
    """A state that was saved goes on as the optimizer it is of."""
    model, x = gpt(), torch.arange(8)[None]

    def step(trained: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        getattr(optimizer, "train", lambda: None)()
        trained(x, labels=x).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    optimizer = kind(model=model)
    decay_by_layer(optimizer, model, 0.5)
    step(model, optimizer)
    again = copy.deepcopy(model)
    resumed = kind(model=again)
    decay_by_layer(resumed, again, 0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(model, optimizer)
    step(again, resumed)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "optimizer",
    fast_slow_soak(
        ["adamw", "muon", "schedule_free", "adafactor", "lion"],
        fast=["muon"], slow=["schedule_free"],
    ),
)  # fmt: skip
def test_layer_decay_acts_and_resumes_exactly(train: Train, optimizer: str):
    given = [*RUN, f"optimizer={optimizer}", "layer_decay=0.5", "trainer.val_every_n_steps=2"]
    straight = train(*given, "budget.steps=4", "scheduler=constant", folder="straight")
    folder = train(*given, "budget.steps=2", "scheduler=constant")
    train(*given, "budget.steps=4", "scheduler=constant", f"resume={folder.path}")
    ends = [torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (straight, folder)]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key
    groups = ends[0]["optimizer_states"][0]["param_groups"]
    assert len({group["lr"] for group in groups}) >= 4


def test_freezing_goes_with_adapters(train: Train):
    folder = train(*RUN, "compression=[lora]", "freeze=[layers.0]", "budget.steps=3")
    state = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    moved = {k for k, v in state.items() if "lora_B" in k and v.any()}
    assert moved
    assert all("layers.1." in k for k in moved)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("layer_decay=0", "outside (0, 1]"),
        ("layer_decay=1.5", "outside (0, 1]"),
        ("layer_decay=nan", "finite"),
    ],
)
def test_gate_refuses_a_decay_out_of_range(override: str, words: str):
    (problem,) = check([override]).problems[0]
    assert problem.path == "layer_decay"
    assert words in str(problem)


def test_gate_refuses_both_where_nothing_is_trained_by_gradient():
    problems = check(["model=ngram", "freeze=[layers.0]", "layer_decay=0.5"], False).problems[0]
    assert [p.path for p in problems] == ["freeze", "layer_decay"]


@pytest.mark.parametrize("change", ["freeze=[layers.0]", "layer_decay=0.9"])
def test_a_resumed_run_keeps_them(train_once: Train, tiny: Callable[..., list[str]], change: str):
    folder = train_once(*RUN)
    overrides = tiny(*RUN, change, f"resume={folder.path}")
    config = check(overrides).configs[0]
    with pytest.raises(InputError, match=rf"keeps its outcome axes, but {change.split('=')[0]}"):
        refuse_changes(config)
