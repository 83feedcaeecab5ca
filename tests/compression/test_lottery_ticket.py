"""The lottery ticket: rounds, what is rewound, and a resume that changes nothing."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file

from loomlab.compression.lottery_rounds import Rounds
from loomlab.compression.lottery_ticket import LotteryTicket, Rewinding
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

GIVEN = [
    *("model.layers=1", "model.width=16", "model.heads=2", "compression=[lottery_ticket]"),
    *("callbacks=[checkpoint]", "compression.lottery_ticket.rewind=1", "scheduler.warmup=2"),
]


@pytest.mark.parametrize(
    ("run", "made"),
    [
        ((10, 3, 1), (1, (4, 7), 4)),
        ((9, 3, 0), (0, (3, 6), 3)),
        ((5, 4, 0), (0, (1, 3, 4), 2)),
        ((2, 2, 0.1), (0, (1,), 1)),
        ((7, 1, 0), (0, (), 7)),
    ],
)
def test_rounds_by_hand(run: tuple, made: tuple):
    assert Rounds.of(*run) == Rounds(*made)


def test_the_same_share_goes_each_time():
    option = LotteryTicket(sparsity=0.75, rounds=3)
    assert [option.after(n) for n in (1, 2, 3)] == [0.5, 0.75, 0.75]


@pytest.mark.parametrize("optimizer", ["muon", "schedule_free"])
def test_a_run_goes_back_and_its_schedule_with_it(
    train: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch, optimizer: str
):
    seen = []
    back = Rewinding._go_back

    def noted(self, model):
        back(self, model)
        state = {k: v.clone() for k, v in model.named_parameters()}
        kept = {f"{k}.weight": v for k, v in self.masks.items()}
        for name, weight in state.items():
            assert torch.equal(weight, self.early[name] * kept.get(name, torch.ones(())))
        seen.append(sum((~m).sum().item() for m in self.masks.values()))

    monkeypatch.setattr(Rewinding, "_go_back", noted)
    run = train(*GIVEN, "budget.steps=10", f"optimizer={optimizer}")
    total = 16 * 16 * 12
    assert seen == [round((1 - 0.5**0.5) * total), total // 2]
    rates = [float(row["train/lr"]) for row in read_metrics(run.metrics) if row.get("train/lr")]
    assert rates[4:7] == rates[1:4]  # steps 5 to 7 have the rates of steps 2 to 4
    assert rates[7:10] == rates[1:4]
    report = run.summary()["compression"]["LotteryTicket"]
    assert (report["sparsity"], report["rewound"]) == (0.5, 2)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [4, 5])
def test_a_resume_in_the_middle_equals_the_unbroken_run(
    train: Callable[..., RunFolder], train_once: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch, stop: int,
):  # fmt: skip
    """At the end of a round, which has yet to be pruned, and after that."""
    whole = train_once(*GIVEN, "budget.steps=10")
    shared = LotteryTicket.shared
    monkeypatch.setattr(LotteryTicket, "shared", lambda self, _: shared(self, 10))
    part = train(*GIVEN, f"budget.steps={stop}", folder="part")
    again = train(*GIVEN, "budget.steps=10", f"resume={part.path}", folder="part")
    one, other = (load_file(f.model / "model.safetensors") for f in (whole, again))
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert again.summary()["compression"]["LotteryTicket"]["sparsity"] == 0.5


def test_one_round_is_pruned_at_its_end(train: Callable[..., RunFolder]):
    run = train(*GIVEN, "compression.lottery_ticket.rounds=1")
    assert run.summary()["compression"]["LotteryTicket"]["sparsity"] == 0.5


def test_runs_that_cannot_be_shared_out_are_refused(refused: Callable[..., str]):
    said = refused("compression=[lottery_ticket]", "budget.steps=2")
    assert "3 rounds that go back to step 0 need 3 steps, the run has 2" in said
    said = refused("compression=[lottery_ticket]", "budget.steps=null", "budget.seconds=9")
    assert "lottery_ticket.rounds" in said
    assert "budget.seconds" in said
