"""The averaged weights: by hand, in every place a run answers from, and across a kill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.marks import fast_slow_soak
from tests.warm import WarmProcess

from loomlab.regularization.ema import EMA, AverageWeights
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]
RUN = [
    *MODEL, "callbacks=[checkpoint]", "optimizer.lr=0.01", "trainer.val_every_n_steps=4",
    "scheduler=constant",
]  # fmt: skip
WITH = ["regularization=[ema]", "regularization.ema.decay=0.8"]


def state(folder: RunFolder, name: str = "last.ckpt") -> dict:
    return torch.load(folder.checkpoints / name, map_location="cpu", weights_only=True)


def held_out(folder: RunFolder) -> dict[int, float]:
    return {r["step"]: r["val/loss"] for r in read_metrics(folder.metrics) if "val/loss" in r}


def test_average_by_hand():
    """The warm-up is 2/11, 3/12, ... until it reaches the decay."""
    (callback,) = EMA(decay=0.3).callbacks()
    assert isinstance(callback, AverageWeights)
    callback.other = {"w": torch.tensor([0.0])}
    average = 0.0
    for step, (value, decay) in enumerate([(1.0, 2 / 11), (3.0, 3 / 12), (5.0, 0.3)], start=1):
        callback.update({"w": torch.tensor([value])}, step)
        average = decay * average + (1 - decay) * value
        assert callback.other["w"].item() == pytest.approx(average)


def test_before_its_start_the_average_follows():
    callback = AverageWeights(decay=0.9, warmup=False, start=2)
    callback.other = {"w": torch.tensor([0.0])}
    for step, value in enumerate([1.0, 2.0], start=1):
        callback.update({"w": torch.tensor([value])}, step)
        assert callback.other["w"].item() == value
    callback.update({"w": torch.tensor([4.0])}, 3)
    assert callback.other["w"].item() == pytest.approx(0.9 * 2 + 0.1 * 4)


def test_training_is_untouched_and_the_answer_is_the_average(train: Train):
    plain = train(*RUN, "budget.steps=8", folder="plain")
    folder = train(*RUN, *WITH, "budget.steps=8")
    raw, both = state(plain)["state_dict"], state(folder)
    kept = both["callbacks"]["AverageWeights"]
    assert kept["averaged"], "the last validation has shown the average"
    assert all(torch.equal(raw[k], v) for k, v in kept["other"].items())
    assert not all(torch.equal(raw[k], v) for k, v in both["state_dict"].items())
    rates = [r["train/loss"] for r in read_metrics(folder.metrics) if "train/loss" in r]
    assert rates == [r["train/loss"] for r in read_metrics(plain.metrics) if "train/loss" in r]
    assert held_out(folder) != held_out(plain)
    assert folder.summary()["best"]["val/loss"] == pytest.approx(min(held_out(folder).values()))
    saved, best = load_file(folder.model / "model.safetensors"), state(folder, "best.ckpt")
    assert all(torch.equal(best["state_dict"][f"model.{k}"], v) for k, v in saved.items())


def test_average_is_that_of_the_weights_of_every_step(
    train: Train, monkeypatch: pytest.MonkeyPatch
):
    """Worked out anew from what the weights are after each of the steps."""
    steps, follow = [], AverageWeights.on_train_batch_end

    def noted(self: AverageWeights, trainer: Any, module: torch.nn.Module, *more: Any) -> None:
        steps.append({k: p.detach().clone() for k, p in module.state_dict().items()})
        follow(self, trainer, module, *more)

    monkeypatch.setattr(AverageWeights, "on_train_batch_end", noted)
    folder = train(*RUN, *WITH, "budget.steps=3", "regularization.ema.start=1")
    assert len(steps) == 3
    for key, value in state(folder)["state_dict"].items():
        assert not torch.equal(steps[0][key], steps[1][key])
        average = steps[0][key]
        for weights, decay in zip(steps[1:], (2 / 11, 3 / 12), strict=True):
            average = decay * average + (1 - decay) * weights[key]
        torch.testing.assert_close(value, average, rtol=1e-4, atol=1e-6)


def test_without_checkpoints_the_average_is_saved(train: Train):
    folder = train(*RUN, *WITH, "budget.steps=8", "callbacks=[]")
    assert folder.summary()["best"]["val/loss"] == pytest.approx(held_out(folder)[8], rel=1e-6)


LORA, FREE = ["compression=[lora]"], ["optimizer=schedule_free"]


@pytest.mark.parametrize(
    ("every", "extra"),
    [
        ("null", []),
        pytest.param("3", LORA, marks=pytest.mark.slow),
        pytest.param("3", FREE, marks=pytest.mark.slow),
        *(pytest.param(*p, marks=pytest.mark.soak) for p in (("3", []), ("null", LORA),
                                                             ("null", FREE))),
    ],
)  # fmt: skip
def test_resumes_exactly(train: Train, every: str, extra: list[str]):
    given = [*RUN, *WITH, f"callbacks.checkpoint.every_n_train_steps={every}", *extra]
    straight = train(*given, "budget.steps=10", folder="straight")
    folder = train(*given, "budget.steps=6")
    train(*given, "budget.steps=10", f"resume={folder.path}")
    one, other = state(straight), state(folder)
    for key, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][key]), key
    kept = [s["callbacks"]["AverageWeights"] for s in (one, other)]
    assert kept[0]["updates"] == kept[1]["updates"] == 10
    assert kept[0]["other"].keys() == kept[1]["other"].keys()
    assert all(torch.equal(v, kept[1]["other"][k]) for k, v in kept[0]["other"].items())


def test_only_what_is_trained_is_averaged(train: Train):
    folder = train(*RUN, *WITH, "budget.steps=2", "compression=[lora]")
    names = state(folder)["callbacks"]["AverageWeights"]["other"]
    assert names
    assert all("lora_" in name for name in names)


@pytest.mark.soak
def test_killed_in_either_mode_it_resumes_exactly(
    tiny: Callable[..., list[str]], warm: Callable[..., WarmProcess], train: Train, tmp_path: Path
):
    """SIGKILL while training, with a state last saved between validations, then by one."""
    given = [
        *RUN, *WITH, "callbacks.checkpoint.every_n_train_steps=7", "budget.steps=16",
        "trainer.val_every_n_steps=5", "runtime=plain", "precision=fp32",
    ]  # fmt: skip
    folder = RunFolder(tmp_path / "killed")
    for saved, averaged, stop_at in ((7, False, 9), (10, True, 5)):  # steps since it was started
        resumed = [f"resume={folder.path}"] if saved > 7 else []
        words = ["train", *tiny(*given, folder="killed"), *resumed]
        process = warm(words, tmp_path, stop_at=stop_at)
        process.stands_still()
        process.kill()
        assert state(folder)["global_step"] == saved
        assert state(folder)["callbacks"]["AverageWeights"]["averaged"] == averaged
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(*given, f"resume={folder.path}", folder="killed")
        straight = train(*given, folder="straight")
    finally:
        torch.set_num_threads(threads)
    assert held_out(folder) == held_out(straight)
    one, other = state(straight)["state_dict"], state(folder)["state_dict"]
    assert all(torch.equal(v, other[k]) for k, v in one.items())


class Half:
    """A record of a cut, of the process that holds the first half of what is there twice."""

    def whole(self, held: torch.Tensor) -> torch.Tensor:
        return torch.cat([held, held])

    def here(self, full: torch.Tensor) -> torch.Tensor:
        return full[: len(full) // 2]


def test_parts_of_weights_are_averaged_and_kept_whole():
    module: Any = torch.nn.Module()
    module.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    module.weight.cut = Half()
    callback = AverageWeights(decay=0.5, warmup=False, start=0)
    callback.load_state_dict({"averaged": True, "updates": 1, "other": {"weight": torch.ones(4)}})
    callback.on_train_start(None, module)
    assert callback.state_dict()["other"]["weight"].tolist() == [1, 1, 1, 1]
    callback.on_train_batch_start(None, module)
    assert module.weight.tolist() == [1, 1]
    callback.update({"weight": module.weight}, 1)
    assert callback.state_dict()["other"]["weight"].tolist() == [1, 1.5, 1, 1.5]


TP = ["parallelism=tp", "parallelism.sequence_parallel=true", "parallelism.loss_parallel=true"]
WAYS = {
    "fsdp2 to tp": (["parallelism=fsdp2", "parallelism.reshard_after_forward=false"], TP),
    "single to fsdp2_tp": ([], ["parallelism=fsdp2_tp"]),
    "ddp to fsdp2": (["parallelism=ddp"], ["parallelism=fsdp2"]),
    "tp to single": (TP, []),
}


@pytest.mark.parametrize("way", fast_slow_soak(WAYS, slow=["fsdp2 to tp"]))
@pytest.mark.usefixtures("warm_ranks")
def test_averages_of_parts_are_those_of_one_process(
    train: Train, same: Callable[[RunFolder, RunFolder], None], way: str
):
    """Also across a change of option, at a moment when the average is in the model."""
    first, then = WAYS[way]
    given = [*RUN, *WITH, "model.layers=2", "runtime=plain"]
    straight = train(*given, "budget.steps=8", folder="straight")
    folder = train(*given, "budget.steps=4", *first)
    train(*given, "budget.steps=8", *then, f"resume={folder.path}")
    same(straight, folder)
    kept = [state(f)["callbacks"]["AverageWeights"] for f in (straight, folder)]
    assert kept[0]["averaged"] == kept[1]["averaged"]
    torch.testing.assert_close(kept[1]["other"], kept[0]["other"], rtol=0, atol=5e-5)
