"""The size of hidden states after every block, measured at logged steps alone."""

from collections.abc import Callable

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.compose.composer import compose_job, composing
from loomlab.precision.fp32 import FP32
from loomlab.run.assembly import assemble
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.run.prepared import record_choice
from loomlab.run.trainer import build_trainer

MODEL = ["model.layers=2", "model.width=16", "model.heads=2"]
RUN = ["callbacks=[activation_norms]", "budget.steps=4", "trainer.log_every_n_steps=2"]
KINDS = {
    "gpt": MODEL,
    "bert": ["model=bert", "objective=mlm", *MODEL],
    "hf": [
        "model=hf", "model.architecture_type=gpt2",
        "++model.config={n_layer:2,n_embd:16,n_head:2}",
    ],
}  # fmt: skip


def rows(folder: RunFolder) -> dict[int, dict[str, float]]:
    return {r["step"]: r for r in read_metrics(folder.metrics) if "activation_rms/layers.0" in r}


class Hooks(pl.Callback):
    """Counts the forward hooks on the blocks before each step's batches, and recomputes."""

    def __init__(self) -> None:
        self.counted: dict[int, int] = {}
        self.expected: dict[int, list[float]] = {}

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch, *_):
        blocks = module.model.blocks()
        step = trainer.global_step + 1
        self.counted[step] = sum(len(b._forward_hooks) for b in blocks)
        with torch.no_grad():
            x = module.model.transformer.embedding(batch["input_ids"])
            x = module.model.transformer.position.embed(x, torch.arange(x.shape[1])[None])
            from loomlab.attention.layout import Layout

            place = torch.arange(x.shape[1])[None]
            rms = []
            for block in blocks:
                layout = Layout(causal=True, query_position_BT=place, key_position_BS=place)
                x = block.forward(x, layout, module.model.transformer.position, place)
                rms.append(float(x.square().mean().sqrt()))
        self.expected[step] = rms


def test_values_are_right_and_hooks_are_gone_between(tiny: Callable[..., list[str]]):
    with composing():
        config = record_choice(compose_job(tiny(*MODEL, *RUN)))
    folder = RunFolder(config.paths.output_dir)
    folder.create(config, [])
    parts = assemble(config, folder)
    trainer = build_trainer(config, parts, folder, FP32())
    hooks = Hooks()
    trainer.callbacks.append(hooks)
    trainer.fit(parts.objective, datamodule=parts.corpus)
    assert hooks.counted == {1: 0, 2: 2, 3: 0, 4: 2}
    assert not any(b._forward_hooks for b in parts.objective.model.blocks())
    for step, row in rows(folder).items():
        measured = [row[f"activation_rms/layers.{n}"] for n in (0, 1)]
        assert measured == pytest.approx(hooks.expected[step], rel=1e-5)


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, fast=["gpt"], slow=["hf"]))
def test_all_models_and_accumulated_steps_change_nothing(
    train: Callable[..., RunFolder], kind: str
):
    given = [*KINDS[kind], "budget.steps=4", "trainer.accumulate_grad_batches=2"]
    silent = train(*given, folder="silent")
    told = train(*given, *RUN, folder="told")
    assert list(rows(told)) == [2, 4]
    assert all(row["activation_rms/layers.1"] > 0 for row in rows(told).values())
    one, other = (load_file(f.model / "model.safetensors") for f in (silent, told))
    assert all(one[key].equal(other[key]) for key in one.keys() | other.keys())
