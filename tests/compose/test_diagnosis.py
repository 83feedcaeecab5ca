"""The first gate in words: every problem of a command line at once, each with what to type."""

from collections.abc import Callable

import pytest

Said = Callable[..., str]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimizer.lrr=1", "optimizer.lrr: AdamW has no setting 'lrr'; did you mean lr?"),
        ("modle=gpt", "modle: there is no such key or axis; did you mean model?"),
        ("model=gtp", "model: there is no option 'gtp'; did you mean gpt?"),
        ("callbacks=[progress,chekpoint]", "no option 'chekpoint'; did you mean checkpoint?"),
        ("sequence_lenght=3", "did you mean sequence_length?"),
        ("budget.step=2", "budget has no setting 'step'; did you mean steps?"),
        ("paths.output_dr=x", "did you mean output_dir?"),
        ("optimzer.lr=3", "there is no axis or key 'optimzer'; did you mean optimizer?"),
        ("optimizer.lr=abc", "optimizer.lr: 'abc' is not a number"),
        ("model.layers=1.5", "model.layers: '1.5' is not a whole number"),
        ("seed=x", "seed: 'x' is not a whole number"),
        ("model.tied=maybe", "model.tied: "),
        ("optimizer=null", "null is no option; options: adafactor, adamw"),
        ("callbacks=null", "for none write callbacks=[]"),
        ("model=gpt,bert", "takes one option, not several; for a sweep over them add -m"),
        ("optimizer.lr=1,2", "takes one value, not several; for a sweep over them add -m"),
        ("logger.csv.x=1", "csv is not selected on axis logger; add it: logger=[...,csv]"),
        ("callbacks.samples.lenght=3", "Samples has no setting 'lenght'; did you mean length?"),
        ("model.foo.bar=1", "there is no such key"),
        ("a=b=c", "cannot be read as an override; write key=value"),
        ("+typo=[1", "cannot be read as an override"),
        ("experiment=nosuch", "there is no option 'nosuch'"),
        ("hydra/job_logging=quiet", "there is no option 'quiet'; options: default, disabled"),
        ("hydra/launcher=basik", "hydra/launcher: there is no option 'basik'; did you mean basic"),
        ("hydra/nosuch=x", "hydra/nosuch: there is no such key or axis"),
    ],
)
def test_message(said: Said, override: str, expected: str):
    message = said(override)
    assert expected in message
    assert message.startswith("This cannot run:\n  - ")


def test_stale_key_of_a_swapped_option(said: Said):
    message = said("optimizer=sgd", "optimizer.betas=[0.9,0.9]")
    assert "SGD has no setting 'betas'; settings: lr, momentum, nesterov, weight_decay" in message


def test_all_problems_are_told_at_once_whatever_their_gate(said: Said):
    message = said(
        "model=bert", "optimizer.lrr=1", "modle=x", "seed=-1", "scheduler.warmup=nan",
        "model.width=10", "model.heads=4", "budget.steps=1", "budget.tokens=5",
    )  # fmt: skip
    for path in ("optimizer.lrr", "modle", "seed", "scheduler.warmup", "model.width", "budget",
                 "model=bert objective=clm"):  # fmt: skip
        assert f"  - {path}: " in message
    assert message.count("\n") == 7, "each is told once"


def test_new_keys_of_an_open_setting(said: Said):
    hf = ["model=hf", "model.architecture_type=gpt2"]
    assert "write ++model.config={n_layer:1}" in said(*hf, "model.config={n_layer:1}")
    assert "write +model.config.n_layer=1" in said(*hf, "model.config.n_layer=1")
    assert said(*hf, "++model.config={n_layer:1}") == ""
    assert said(*hf, "+model.config.n_layer=1") == ""
