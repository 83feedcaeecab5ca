"""What all objectives share: inputs the model knows, exact sums, one optimizer and schedule."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from loomlab.measure.scores import Scores
from loomlab.objective.base import Objective
from loomlab.objective.clm import CausalLM
from loomlab.objective.mlm import MaskedLM
from loomlab.run.metrics_file import read_metrics

Make = Callable[..., Any]
KINDS = pytest.mark.parametrize("kind", [CausalLM, MaskedLM])


@KINDS
def test_model_gets_only_what_it_has_a_parameter_for(objective: Make, samples: Make, kind: type):
    module = objective(kind)
    inputs = module.model_inputs(module.collate(samples(documents=True)))
    assert "targets" not in inputs
    assert {"input_ids", "document_ids"} <= set(inputs)
    assert ("masked_index" in inputs) == (kind is MaskedLM)


@KINDS
def test_held_out_scores_do_not_depend_on_the_batches(objective: Make, samples: Make, kind: type):
    module = objective(kind)
    module.on_validation_epoch_start()
    module.validation_step(module.collate(samples(6)), 0)
    whole = module.held_out.result()
    module.on_validation_epoch_start()
    for number, (first, rows) in enumerate([(0, 1), (1, 3), (4, 2)]):
        module.validation_step(module.collate(samples(rows, first=first)), number)
    parts = module.held_out.result()
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    assert parts["accuracy"] == whole["accuracy"]
    assert whole["perplexity"] == pytest.approx(math.exp(whole["loss"]))
    assert whole["bits_per_byte"] == pytest.approx(whole["loss"] / math.log(2))


@KINDS
def test_training_scores_agree_with_the_loss(objective: Make, samples: Make, kind: type):
    module = objective(kind)
    module.training_scores = Scores()
    loss = module.training_step(module.collate(samples()), 0)
    assert module.training_scores.result()["loss"] == pytest.approx(loss.item(), rel=1e-5)


@KINDS
def test_micro_batches_average_exactly(objective: Make, samples: Make, kind: type):
    module = objective(kind)
    whole = module.training_step(module.collate(samples(4)), 0)
    halves = [module.training_step(module.collate(samples(2, first=f)), 0) for f in (0, 2)]
    assert whole.item() == pytest.approx(sum(h.item() for h in halves) / 2, rel=1e-6)


@KINDS
def test_one_step_with_the_configured_optimizer_lowers_the_loss(
    objective: Make, samples: Make, kind: type
):
    module = objective(kind)
    setup = module.configure_optimizers()
    assert setup["lr_scheduler"]["interval"] == "step"
    batch = module.collate(samples())
    before = module.training_step(batch, 0)
    before.backward()
    setup["optimizer"].step()
    assert module.training_step(batch, 0).item() < before.item()


def test_loss_of_half_precision_logits_is_computed_in_single(objective: Make):
    module = objective(CausalLM)
    torch.manual_seed(0)
    logits, targets = torch.randn(64, 260) * 4, torch.randint(0, 260, (64,))
    half = logits.bfloat16()
    loss = module.loss(half, targets)
    assert loss.dtype == torch.float32
    exact = nn.functional.cross_entropy(half.double(), targets)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)


@pytest.mark.parametrize("method", ["collate", "select", "sample"])
def test_objective_that_lacks_a_method_says_so(objective: Make, method: str):
    module = objective(CausalLM)
    with pytest.raises(TypeError, match="CausalLM"):
        getattr(Objective, method)(module, *[None] * (2 if method == "sample" else 1))


@pytest.mark.parametrize(
    ("options", "layers", "width", "lr", "steps", "limit"),
    [
        (["model=gpt", "objective=clm"], 1, 32, 2e-2, 120, 0.15),
        pytest.param(
            ["model=bert", "objective=mlm"], 2, 64, 3e-3, 250, 0.6, marks=pytest.mark.slow
        ),  # other tokens are masked each time
    ],
    ids=["clm", "mlm"],
)
def test_one_batch_can_be_learned_by_heart(
    train, options: list[str], layers: int, width: int, lr: float, steps: int, limit: float
):
    """debug=overfit: the loss on a batch seen again and again falls to a fraction (nats)."""
    folder = train(
        *options, f"model.layers={layers}", f"model.width={width}", "model.heads=2",
        "debug=overfit", f"optimizer.lr={lr}", f"budget.steps={steps}",
        f"trainer.val_every_n_steps={steps}",
    )  # fmt: skip
    losses = [row["train/loss"] for row in read_metrics(folder.metrics) if "train/loss" in row]
    assert losses[0] > 5
    assert sum(losses[-10:]) / 10 < limit
