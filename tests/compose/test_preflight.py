"""The second gate: values, bounds, interpolations, ghosts and pairs of a composed config."""

from collections.abc import Callable

import pytest

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.composer import compose_job, composing
from loomlab.compose.preflight import preflight

Said = Callable[..., str]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["optimizer.lr=nan"], "optimizer.lr: nan is not a finite number"),
        (["optimizer.lr=-1"], "optimizer.lr: -1.0 is outside (0, inf)"),
        (["optimizer.lr=inf"], "optimizer.lr: inf is not a finite number"),
        (["optimizer.betas=[nan,0.9]"], "optimizer.betas: nan is not a finite number"),
        (["seed=-1"], "seed: -1 is outside"),
        (["sequence_length=1"], "sequence_length: 1 is outside [2, inf)"),
        (["global_batch_size=0"], "global_batch_size: 0 is outside [1, inf)"),
        (["budget.steps=0"], "budget.steps: 0 is outside (0, inf)"),
        (["budget.tokens=inf"], "budget.tokens: inf is not a finite number"),
        (
            ["budget.steps=1", "budget.flops=2"],
            "budget.steps and budget.flops are both set; keep one: budget.steps=null",
        ),
        (["model.heads=3"], "256 is not a multiple of heads=3; try model.width=258"),
        (["model.norm=layernrm"], "none of layernorm, rmsnorm; did you mean layernorm?"),
        (
            ["global_batch_size=6", "trainer.accumulate_grad_batches=4"],
            "6 rows cannot be shared by 1 processes x 4 micro-steps; nearest that can: 4 or 8",
        ),
        (
            ["parallelism=ddp", "parallelism.devices=3"],
            "16 rows cannot be shared by 3 processes x 1 micro-steps; nearest that can: 15 or 18",
        ),
        (
            ["parallelism=ddp", "parallelism.devices=1", "parallelism.num_nodes=3"],
            "16 rows cannot be shared by 3 processes x 1 micro-steps; nearest that can: 15 or 18",
        ),
        (
            ["parallelism=ddp", "micro_batch_size=3"],
            "micro_batch_size: 16 rows cannot be cut into micro-batches of 3 in 2 processes; "
            "nearest that can: 2 or 4, or global_batch_size=12 or 18",
        ),
        (
            ["micro_batch_size=4", "trainer.accumulate_grad_batches=2"],
            "micro_batch_size: 4 rows make 4 micro-steps of 1 processes out of global_batch_size="
            "16, and trainer.accumulate_grad_batches=2; give one of the two",
        ),
        (
            ["parallelism=pipeline", "micro_batch_size=3"],
            "micro-batches of 3 in 1 processes x 4 parts; nearest that can: 2 or 4, or global",
        ),
        (["micro_batch_size=0"], "micro_batch_size: 0 is outside [1, inf)"),
        (["+typo=1"], "typo: there is no such key or axis"),
        (["+budget.hours=1"], "budget.hours: there is no such key"),
        (["+optimizer.lrr=1"], "AdamW has no setting 'lrr'; did you mean lr?"),
        (["++model.vocab_size=3"], "is given at run time and cannot be configured"),
        (
            ["+compression.lora.rank=4"],
            "values are set for lora, which is not selected; add it: compression=[...,lora]",
        ),
        (["+compression.lorra.rank=4"], "did you mean lora?"),
        (["sequence_length=???"], "sequence_length: has no value; give one: sequence_length=..."),
        (["optimizer.lr=???"], "optimizer.lr: has no value"),
        (["name=${nothing}"], "name: ${nothing} cannot be resolved"),
        (["optimizer.lr=${oc.env:NO_SUCH_VARIABLE}"], "optimizer.lr: ${oc.env:NO_SUCH_VARIABLE}"),
        (["corpus=text"], "corpus.path: nothing is set"),
        (["corpus=text", "corpus.path=/no/such/file.txt"], "/no/such/file.txt does not exist"),
        (["model._target_=nowhere.Thing"], "model._target_: nowhere.Thing is outside loomlab"),
        (
            ["model._target_=loomlab.model.gtp.GPTConfig"],
            "there is no module 'loomlab.model.gtp' to take 'GPTConfig' from; did you mean "
            "loomlab.model.gpt.GPTConfig?",
        ),
        (["~optimizer"], "optimizer: no such option is selected"),
        (
            ["callbacks.checkpoint.monitor=val/accuracy", "callbacks.checkpoint.mode=min"],
            "callbacks.checkpoint.mode: min, but more of val/accuracy is better; leave it out",
        ),
        (
            ["callbacks=[early_stop]", "callbacks.early_stop.mode=max"],
            "callbacks.early_stop.mode: max, but less of val/bits_per_byte is better",
        ),
        (
            [
                "callbacks=[]",
                "+callbacks.mine={_target_:loomlab.callbacks.early_stop.EarlyStop,"
                "monitor:val/bits}",
            ],
            "callbacks.mine.monitor: objective=clm reports no 'val/bits'",
        ),
        (["resume="], "resume: is empty; give a folder, or leave resume out"),
        (["init=''"], "init: is empty; give a folder, or leave init out"),
        (["model=hf", "model.name="], "model.name: is empty; give a value, or leave it out"),
        (["tokenizer=hf", "tokenizer.name=''"], "tokenizer.name: is empty; give a value"),
        (["corpus=hf", "corpus.path="], "corpus.path: is empty; give a value"),
        (["logger=wandb", "logger.wandb.group="], "logger.wandb.group: is empty; give a value"),
        (
            ["callbacks.samples.prompt='caf\udce9'"],
            "prompt: \"'caf\\udce9'\" is not UTF-8",
        ),
        (["model=hf"], "needs exactly one of model.name"),
        (
            ["model=hf", "model.architecture_type=gtp2"],
            "- model.architecture_type: Transformers has no model type gtp2",
        ),
    ],
    ids=str,
)
def test_refusal(said: Said, overrides: list[str], expected: str):
    assert expected in said(*overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["optimizer.lr=1e-9"],
        ["model.width=12", "model.heads=3"],
        ["global_batch_size=6", "trainer.accumulate_grad_batches=3"],
        ["sequence_length=${global_batch_size}"],
        ["budget.seconds=1.5"],
        ["compression=[lora]", "compression.lora.rank=1"],
        ["trainer.gradient_clip_val=null"],
        ["~callbacks.samples"],
        ["logger=none"],
        ["callbacks.checkpoint.monitor=val/accuracy", "callbacks.checkpoint.mode=max"],
    ],
    ids=str,
)
def test_acceptance(said: Said, overrides: list[str]):
    assert said(*overrides) == ""


def test_objective_that_does_not_fit_says_why_and_what_would(said: Said):
    message = said("objective=clm", "model=bert")
    assert "an encoder sees the token it would have to predict" in message
    assert "with model=bert use objective=mlm" in message
    assert "with objective=clm use model=gpt|gpt_small" in message


def test_library_settings_are_added_with_plus_and_checked_against_the_library(said: Said):
    assert said("+trainer.max_time=1") == ""
    assert "did you mean max_time?" in said("+trainer.max_tim=1")


def test_problems_of_a_composed_config_are_listed_not_raised():
    with composing():
        config = compose_job(["seed=-1", "optimizer.lr=-1"])
        problems = preflight(config, Catalog(all_conf_dirs()))
    assert [problem.path for problem in problems] == ["seed", "optimizer.lr"]
