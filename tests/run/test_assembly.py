"""One direction from config to run: parts get plain values, and the right ones."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from loomlab.compose.composer import compose_job, composing
from loomlab.errors import InputError
from loomlab.measure.split import Split
from loomlab.parallelism.base import Parallelism
from loomlab.parallelism.pipeline import Pipeline
from loomlab.precision.fp32 import FP32
from loomlab.run.assembly import Assembled, assemble, objective_head, open_corpus, split_of
from loomlab.run.budget import StopAfterSeconds
from loomlab.run.folder import RunFolder
from loomlab.run.meter import Meter
from loomlab.run.metrics_file import MetricsFile
from loomlab.run.prepared import record_choice
from loomlab.run.trainer import build_trainer

Compose = Callable[..., DictConfig]


@pytest.fixture
def compose(small: Callable[..., list[str]], tmp_path: Path) -> Compose:
    def job(*more: str) -> DictConfig:
        with composing():
            return record_choice(compose_job(small(tmp_path / "run", *more)))

    return job


@pytest.fixture
def parts(compose: Compose, tmp_path: Path) -> Callable[..., Assembled]:
    return lambda *more: assemble(compose(*more), RunFolder(tmp_path / "run"))


def processes(count: int) -> Parallelism:
    spread = Parallelism()
    spread.devices = count
    return spread


@pytest.mark.parametrize(
    ("batch", "count", "given", "split"),
    [
        (4, 1, [], Split(1, 4)),
        (4, 2, ["trainer.accumulate_grad_batches=2"], Split(2, 1)),
        (24, 2, ["micro_batch_size=4"], Split(3, 4)),
    ],
)
def test_rows_of_one_process(
    compose: Compose, batch: int, count: int, given: list[str], split: Split
):
    config = compose(f"global_batch_size={batch}", *given)
    assert split_of(config, processes(count)) == split


def test_a_pipeline_takes_micro_batches_in_parts(compose: Compose):
    config = compose("global_batch_size=24", "micro_batch_size=2")
    spread = Pipeline(devices=4, data_parallel=2, micro_batches=3)
    assert split_of(config, spread) == Split(steps=2, rows=6)


def test_a_batch_that_does_not_divide_is_refused(compose: Compose):
    config = compose("global_batch_size=10", "trainer.accumulate_grad_batches=2")
    with pytest.raises(InputError, match="10 rows cannot be shared by 2 processes x 2 micro"):
        split_of(config, processes(2))


def test_the_model_fits_corpus_and_objective(parts: Callable[..., Assembled]):
    made = parts("position=rope", "sequence_length=24")
    config = made.objective.model.config
    assert config.vocab_size == made.corpus.vocab_size
    assert config.context_length == 24
    assert config.eos_token_id == made.corpus.hf_tokenizer.eos_token_id
    assert config.pad_token_id == made.corpus.hf_tokenizer.pad_token_id
    assert config.position["_target_"] == "loomlab.position.rope.RoPE"
    assert made.corpus.collate == made.objective.collate
    assert torch.equal(made.objective.new_scores().bytes_V, made.corpus.token_bytes())


def test_the_schedule_sees_the_length_of_the_run(parts: Callable[..., Assembled]):
    made = parts("budget.steps=7")
    assert made.steps == made.context.total_steps == 7
    assert made.objective.context is made.context
    assert made.context.tokens_per_step == 64
    tokens = parts("budget.steps=null", "budget.tokens=1000")
    assert tokens.steps == tokens.context.total_steps == 16


def test_a_step_is_priced_by_the_tokens_of_its_whole_batch(parts: Callable[..., Assembled]):
    price = parts().flops_per_step
    assert price > 0
    assert parts("trainer.accumulate_grad_batches=2").flops_per_step == price
    assert parts("global_batch_size=8").flops_per_step == pytest.approx(2 * price)


@pytest.mark.parametrize(
    ("given", "head"),
    [([], "causal_lm"), (["model=bert", "objective=mlm"], "masked_lm")],
    ids=["clm", "mlm"],
)
def test_head(compose: Compose, given: list[str], head: str):
    assert objective_head(compose(*given)) == head


def test_the_seed_decides_the_weights(parts: Callable[..., Assembled]):
    one, again, other = (parts(f"seed={seed}").objective.model.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_processes_share_a_batch(compose: Compose):
    config = compose()
    whole = next(iter(open_corpus(config).train_dataloader()))
    halves = [next(iter(open_corpus(config, 2, rank, 2).train_dataloader())) for rank in (0, 1)]
    assert torch.equal(torch.cat([h.tokens_BU for h in halves]), whole.tokens_BU)


def test_the_trainer_gets_what_was_chosen(
    compose: Compose, parts: Callable[..., Assembled], tmp_path: Path
):
    more = ["callbacks=[checkpoint,throughput]", "logger=csv", "budget.steps=9"]
    folder = RunFolder(tmp_path / "run")
    folder.create(compose(*more), [])
    trainer = build_trainer(compose(*more), parts(*more), folder, FP32())
    names = [type(c).__name__ for c in trainer.callbacks]
    assert {"Checkpoint", "Throughput", "Meter"} <= set(names)
    assert names.index("Meter") < names.index("Checkpoint"), "a checkpoint knows its step's row"
    assert isinstance(trainer.loggers[0], MetricsFile)
    assert [type(logger).__name__ for logger in trainer.loggers[1:]] == ["CSVLogger"]
    assert trainer.max_steps == 9
    assert trainer.precision == "32-true"
    assert not any(isinstance(c, StopAfterSeconds) for c in trainer.callbacks)
    assert any(isinstance(c, Meter) for c in trainer.callbacks)


def test_a_budget_of_seconds_has_a_clock(
    compose: Compose, parts: Callable[..., Assembled], tmp_path: Path
):
    more = ["budget.steps=null", "budget.seconds=5"]
    made = parts(*more)
    trainer = build_trainer(compose(*more), made, RunFolder(tmp_path / "run"), FP32())
    (clock,) = (c for c in trainer.callbacks if isinstance(c, StopAfterSeconds))
    assert (made.steps, trainer.max_steps, clock.seconds) == (None, -1, 5.0)
