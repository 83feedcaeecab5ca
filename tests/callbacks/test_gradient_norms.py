"""Norms of gradients, weights and updates at logged steps, and a run that is not changed."""

from collections.abc import Callable

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file

from loomlab.callbacks.gradient_norms import GradientNorms
from loomlab.compose.composer import compose_job, composing
from loomlab.precision.fp32 import FP32
from loomlab.run.assembly import assemble
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.run.prepared import record_choice
from loomlab.run.trainer import build_trainer

MODEL = ["model.layers=2", "model.width=16", "model.heads=2"]
RUN = ["callbacks=[gradient_norms]", "budget.steps=4", "trainer.log_every_n_steps=2"]
HF = {
    "gpt2": "++model.config={n_layer:2,n_embd:16,n_head:2}",
    "llama": "++model.config={num_hidden_layers:2,hidden_size:16,num_attention_heads:2,"
    "num_key_value_heads:2,intermediate_size:32}",
}


def rows(folder: RunFolder) -> dict[int, dict[str, float]]:
    return {r["step"]: r for r in read_metrics(folder.metrics) if "grad_norm/all" in r}


class Reference(pl.Callback):
    """The same numbers by another way: from flat vectors of every step."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[float, float, float]] = {}

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: pl.LightningModule, *_):
        self.gradient = torch.cat([p.grad.flatten() for p in module.model.parameters()])
        self.weights = torch.nn.utils.parameters_to_vector(module.model.parameters()).clone()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_):
        now = torch.nn.utils.parameters_to_vector(module.model.parameters())
        ratio = (now - self.weights).norm() / self.weights.norm()
        self.seen[trainer.global_step] = (
            self.gradient.norm().item(), self.weights.norm().item(), ratio.item(),
        )  # fmt: skip


def test_numbers_are_right_and_only_at_logged_steps(tiny: Callable[..., list[str]]):
    with composing():
        config = record_choice(compose_job(tiny(*MODEL, *RUN)))
    folder = RunFolder(config.paths.output_dir)
    folder.create(config, [])
    parts = assemble(config, folder)
    trainer = build_trainer(config, parts, folder, FP32())
    reference = Reference()
    trainer.callbacks.append(reference)
    trainer.fit(parts.objective, datamodule=parts.corpus)
    found = rows(folder)
    assert list(found) == [2, 4]
    for step, row in found.items():
        measured = [row[f"{kind}/all"] for kind in ("grad_norm", "weight_norm", "update_ratio")]
        assert measured == pytest.approx(reference.seen[step], rel=1e-4)
        places = {k.partition("/")[2] for k in row if k.startswith("grad_norm/")}
        assert places == {"all", "layers.0", "layers.1", "embedding", "position", "norm"}
        for kind in ("grad_norm", "weight_norm"):
            parts_of_it = sum(row[f"{kind}/{p}"] ** 2 for p in places - {"all"})
            assert parts_of_it**0.5 == pytest.approx(row[f"{kind}/all"], rel=1e-5)
    (callback,) = (c for c in trainer.callbacks if isinstance(c, GradientNorms))
    assert callback.before == [], "no copy of the weights is kept"


@pytest.mark.parametrize("kind", HF)
def test_layers_of_transformers_models(train: Callable[..., RunFolder], kind: str):
    folder = train("model=hf", f"model.architecture_type={kind}", HF[kind], *RUN)
    row = rows(folder)[2]
    assert {"grad_norm/layers.0", "grad_norm/layers.1", "grad_norm/all"} <= row.keys()
    assert all(value > 0 for key, value in row.items() if key.startswith("update_ratio"))


def test_accumulated_steps_and_frozen_weights(train: Callable[..., RunFolder]):
    folder = train(*MODEL, *RUN, "trainer.accumulate_grad_batches=2", "compression=[lora]")
    assert list(rows(folder)) == [2, 4]


def test_the_whole_alone_and_nothing_is_changed(train: Callable[..., RunFolder]):
    silent = train(*MODEL, "budget.steps=4", folder="silent")
    told = train(*MODEL, *RUN, "callbacks.gradient_norms.layers=false", folder="told")
    assert {k for k in rows(told)[4] if "_norm/" in k} == {"grad_norm/all", "weight_norm/all"}
    one, other = (load_file(f.model / "model.safetensors") for f in (silent, told))
    assert all(one[key].equal(other[key]) for key in one.keys() | other.keys())
