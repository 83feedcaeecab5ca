"""Probes never change training: the same bits with all of them and with none."""

from collections.abc import Callable

import pytest
import torch

from loomlab.probe.base import undisturbed
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "model.dropout=0.2"]
KINDS = {
    "gpt": [*SMALL, "position=rope"],
    "bert": [*SMALL, "model=bert", "objective=mlm"],
    "hf": [
        "model=hf", "model.architecture_type=gpt2",
        "++model.config={n_layer:1,n_embd:16,n_head:2,resid_pdrop:0.2}",
    ],
}  # fmt: skip
RUN = [
    *("sequence_length=48", "callbacks=[checkpoint]", "budget.steps=4"),
    *("trainer.val_every_n_steps=2", "trainer.limit_val_batches=1"),
]


def numbers(folder: RunFolder) -> list[dict[str, float]]:
    rows = read_metrics(folder.metrics)
    return [{k: v for k, v in r.items() if k.startswith(("train/", "val/"))} for r in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_numbers_are_the_same_bits(train: Callable[..., RunFolder], kind: str):
    probes = [
        "probe=[samples,attention_maps,energy]", "probe.samples.prompts=[Alice]",
        "probe.samples.temperatures=[0,1]", "probe.samples.length=8",
        "probe.attention_maps.text=Alice", "probe.attention_maps.heads=[0]",
    ]  # fmt: skip
    without = train(*KINDS[kind], *RUN, folder="without")
    with_all = train(*KINDS[kind], *RUN, *probes, folder="with")
    assert (with_all.path / "samples.jsonl").is_file()
    assert len(list((with_all.path / "probe").glob("*.png"))) == 2
    assert numbers(without) == numbers(with_all)
    one, other = (
        torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (without, with_all)
    )
    assert one["state_dict"].keys() == other["state_dict"].keys()
    assert all(torch.equal(v, other["state_dict"][k]) for k, v in one["state_dict"].items())
    random = [s["callbacks"]["Checkpoint"]["random"]["torch"] for s in (one, other)]
    assert torch.equal(*random)


def test_modes_and_random_numbers_are_given_back():
    module = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(2, 2))
    module[1].eval()
    before = torch.get_rng_state()

    def fail() -> None:
        with undisturbed(module):
            assert not module.training
            raise ValueError(f"in the middle {torch.rand(3)}")

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    assert torch.equal(torch.get_rng_state(), before)
    assert [m.training for m in module.modules()] == [True, True, False]
