"""pytorch-optimizer by name: each of its optimizers trains and resumes exactly, or is refused."""

import copy
import io
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.optimizer.library import REFUSED
from loomlab.optimizer.pytorch_optimizer import NamedOptimizer
from loomlab.scheduler.constant import Constant
from loomlab.scheduler.context import ScheduleContext

pytorch_optimizer = pytest.importorskip("pytorch_optimizer")
KNOWN = pytorch_optimizer.get_supported_optimizers()
USABLE = [name for name in KNOWN if name not in REFUSED]
NO_USUAL_RATE = {"sara": 0.01}
# Some estimate for a while before they move, others keep a part of the weights where it is.
SLOW = {"radam": 6, "schedulefreeradam": 6}


def tiny() -> nn.Module:
    torch.manual_seed(0)
    config = GPTConfig(layers=1, width=16, heads=2, vocab_size=32, context_length=8)
    return config.build("causal_lm")


class Words(nn.Module):
    """A table, a matrix, a norm and a head: groups of every kind, in no time."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding, self.norm = nn.Embedding(32, 16), nn.LayerNorm(16)
        self.up, self.lm_head = nn.Linear(16, 16), nn.Linear(16, 32, bias=False)

    def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> SimpleNamespace:
        hidden = self.norm(self.embedding(ids) + self.up(self.embedding(ids)).tanh())
        logits = self.lm_head(hidden)[:, :-1].flatten(0, 1)
        return SimpleNamespace(loss=nn.functional.cross_entropy(logits, labels[:, 1:].flatten()))


def batch(number: int) -> torch.Tensor:
    return torch.randint(0, 32, (4, 8), generator=torch.Generator().manual_seed(number))


def steps(
    model: nn.Module, optimizer: torch.optim.Optimizer, first: int, count: int, schedule=None
):
    losses = []
    for number in range(first, first + count):
        optimizer.zero_grad()
        loss = model(batch(number), labels=batch(number)).loss
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(loss.item())
    return losses


def switch(optimizer: torch.optim.Optimizer, mode: str) -> None:
    turn = getattr(optimizer, mode, None)
    if turn is not None:
        turn()


def build(name: str, model: nn.Module) -> NamedOptimizer:
    return NamedOptimizer(name, lr=NO_USUAL_RATE.get(name), model=model)


@pytest.mark.parametrize("name", USABLE)
def test_trains_and_resumes_exactly(name: str):
    """Under a schedule, and through a file that is safe to load."""
    model = Words()
    start = [p.detach().clone() for p in model.parameters()]
    torch.manual_seed(3)  # some of them draw random numbers
    optimizer = build(name, model)
    schedule = Constant(warmup=2, optimizer=optimizer, context=ScheduleContext.fixed(20, 1))
    switch(optimizer, "train")
    steps(model, optimizer, 0, SLOW.get(name, 3), schedule)
    moved = [not torch.equal(p, q) for p, q in zip(start, model.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2
    assert all(torch.isfinite(p).all() for p in model.parameters())
    file = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict(), torch.get_rng_state()], file)
    straight = steps(model, optimizer, 10, 3)
    file.seek(0)
    weights, state, random = torch.load(file, weights_only=True)
    resumed = Words(seed=1)
    resumed.load_state_dict(weights)
    second = build(name, resumed)
    second.load_state_dict(state)
    torch.set_rng_state(random)
    assert steps(resumed, second, 10, 3) == straight
    for one, other in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_every_name_is_decided_on():
    assert set(REFUSED) <= set(KNOWN)
    assert len(USABLE) > 100


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_run_is_refused_with_its_reason(name: str):
    with pytest.raises(InputError, match=rf"optimizer\.name: {name} ") as refusal:
        NamedOptimizer(name, model=tiny())
    assert REFUSED[name] in str(refusal.value)


@pytest.mark.parametrize(
    "name", [n for n in REFUSED if n not in ("a2grad", "demo", "magma", "ranger21")]
)
def test_what_is_refused_really_fails(name: str):
    """With plain groups: when built, when stepped, or when its state is loaded safely."""
    with pytest.raises(Exception):  # noqa: B017, PT011  each has an error of its own
        use_plainly(name)


def use_plainly(name: str) -> None:
    model = tiny()
    kind = pytorch_optimizer.load_optimizer(name)
    optimizer = kind([{"params": list(model.parameters())}])
    steps(model, optimizer, 0, 3)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    torch.load(file, weights_only=True)


def test_is_the_optimizer_of_the_library():
    ours, theirs = tiny(), copy.deepcopy(tiny())
    optimizer = NamedOptimizer(
        "lamb", lr=0.01, weight_decay=0.1, settings={"betas": [0.8, 0.9]}, model=ours
    )
    tables = {id(m.weight) for m in theirs.modules() if isinstance(m, nn.Embedding)}
    plain = [p for p in theirs.parameters() if p.ndim < 2 or id(p) in tables]
    rest = [p for p in theirs.parameters() if not (p.ndim < 2 or id(p) in tables)]
    reference = pytorch_optimizer.Lamb(
        [{"params": rest, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
        lr=0.01, betas=(0.8, 0.9),
    )  # fmt: skip
    assert steps(ours, optimizer, 0, 4) == steps(theirs, reference, 0, 4)


@pytest.mark.parametrize("name", ["schedulefreeadamw", "schedulefreesgd", "splus"])
def test_averaging_ones_answer_with_the_average_and_go_back_to_the_bit(name: str):
    """Stepped as it is made; looked at before the first step, too."""
    model = tiny()
    steps(model, NamedOptimizer(name, lr=0.05, model=model), 0, 1)
    optimizer = NamedOptimizer(name, lr=0.05, model=model)
    optimizer.eval()
    optimizer.train()
    steps(model, optimizer, 0, 4)
    raw = [p.detach().clone() for p in model.parameters()]
    optimizer.eval()
    assert not all(torch.equal(p, q) for p, q in zip(raw, model.parameters(), strict=True))
    optimizer.eval()
    optimizer.train()
    assert all(torch.equal(p, q) for p, q in zip(raw, model.parameters(), strict=True))


def test_others_have_no_modes():
    assert not hasattr(NamedOptimizer("lamb", model=tiny()), "eval")


@pytest.mark.parametrize(
    ("overrides", "path", "words"),
    [
        (["optimizer.name=soup"], "optimizer.name", "did you mean soap?"),
        (["optimizer.name=muon"], "optimizer.name", "use optimizer=muon"),
        (["optimizer.name=sophiah"], "optimizer.name", "second derivatives"),
        (["++optimizer.settings={beta:1}"], "optimizer.settings.beta", "did you mean betas?"),
        (["++optimizer.settings={lr:1}"], "optimizer.settings.lr", "is set by optimizer.lr"),
        (["++optimizer.settings={betas:[2,3]}"], "optimizer.settings", "soap refuses them"),
        (["++optimizer.settings={shampoo_beta:x}"], "optimizer.settings", "soap refuses them"),
        (["optimizer.name=sm3", "optimizer.weight_decay=0.1"], "optimizer.weight_decay", "to 0"),
        (["optimizer.name=sara"], "optimizer.lr", "such as optimizer.lr=0.01"),
    ],
    ids=str,
)
def test_gate_refuses_it_before_a_run(overrides: list[str], path: str, words: str):
    problems = check(["optimizer=pytorch_optimizer", *overrides], False).problems[0]
    assert [p.path for p in problems] == [path]
    assert words in str(problems[0])


def test_gate_names_the_extra_where_the_package_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    from loomlab.optimizer.library import problems

    assert problems({"name": "soap"}) == [
        "name: the package pytorch-optimizer is not installed: pip install 'loomlab[optimizers]'"
    ]
