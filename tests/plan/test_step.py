"""A step on paper is the step of a run: what it computes, holds and keeps."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from loomlab.plan.paper import cluster, paper_of
from loomlab.plan.step import rehearse
from loomlab.run.assembly import assemble
from loomlab.run.folder import RunFolder

ROOT = Path(__file__).parents[2]
# torch counts the kernel of GPUs alone: its formulas for those, of the shapes of the one of CPUs.
OF_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda outer, q, k, v, *_, **__: sdpa_backward_flop_count(outer, q, k, v)
    ),
}
ALICE = ROOT / "tests" / "data" / "alice.txt"


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model=bert", "objective=mlm"],
        ["precision=bf16", "model.activation=swiglu", "model.tied=false"],
        ["model=hf", "model.architecture_type=llama", "model.architecture=decoder",
         "++model.config={hidden_size:32,num_hidden_layers:2,num_attention_heads:4,"
         "intermediate_size:64}"],
    ],
    ids=["gpt", "mlm", "swiglu", "llama"],
)  # fmt: skip
def test_arithmetic_is_that_of_a_real_step(
    overrides: list[str], config_of: Callable[..., Any], tmp_path: Path, cache_dir: Path
):
    shared = [
        "corpus=text",
        f"corpus.path={ALICE}",
        f"paths.cache_dir={cache_dir}",
        "objective.head_chunk=0",
    ]  # torch's counter fails on a gradient in a forward pass
    config = config_of(*overrides, *shared)
    parts = assemble(config, RunFolder(tmp_path))
    parts.objective.train()
    counter = FlopCounterMode(display=False, custom_mapping=OF_CPU)
    with counter:
        batch = next(iter(parts.corpus.train_dataloader()))
        with torch.autocast("cpu", torch.bfloat16, enabled="precision=bf16" in overrides):
            parts.objective.training_step(batch, 0).backward()
    with cluster(1):
        planned = rehearse(paper_of(config)).flops
    assert planned == pytest.approx(counter.get_total_flops(), rel=0.02)
    assert planned > 1e6


def test_a_process_holds_the_weights_and_two_states_of_adam(watched: Callable[..., Any]):
    seen = watched()
    assert seen.gradients == seen.parameters
    assert seen.states == pytest.approx(2 * seen.parameters, rel=0.01)
    assert seen.peak >= 4 * seen.parameters


def test_an_optimizer_with_modes_is_priced_too(watched: Callable[..., Any]):
    seen = watched("optimizer=schedule_free")
    assert seen.states == pytest.approx(2 * seen.parameters, rel=0.01)


def test_plain_sgd_keeps_no_states(watched: Callable[..., Any]):
    assert watched("optimizer=sgd", "optimizer.momentum=0.0").states == 0


def test_recomputing_keeps_less_and_computes_more(watched: Callable[..., Any]):
    deep = ["model.layers=6", "sequence_length=64"]
    plain, again = watched(*deep), watched(*deep, recompute=True)
    assert again.activations < plain.activations / 2
    assert again.peak < plain.peak
    assert 1.1 < again.flops / plain.flops < 1.4
    assert again.parameters == plain.parameters


def test_activations_grow_with_the_rows_and_weights_do_not(watched: Callable[..., Any]):
    few, many = watched("global_batch_size=8"), watched("global_batch_size=16")
    assert many.activations / few.activations == pytest.approx(2, rel=0.1)
    assert many.parameters == few.parameters


def test_micro_steps_are_counted_and_need_less_at_once(watched: Callable[..., Any]):
    at_once, in_parts = watched(), watched("trainer.accumulate_grad_batches=4")
    assert in_parts.flops == at_once.flops
    assert in_parts.activations < at_once.activations


@pytest.mark.soak
def test_memory_is_within_15_percent_of_what_is_allocated(cache_dir: Path):
    """Six configurations, each in processes of its own; `fsdp2` in two."""
    program = ROOT / "experiments" / "plan_check" / "measured.py"
    done = subprocess.run(
        [sys.executable, program, ALICE, cache_dir], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 6
    for case in found:
        assert case["planned_peak"] == pytest.approx(case["peak"], rel=0.15), case
        assert case["peak"] > 2e7, "enough for the share to mean something"
