"""Pairs of options that are refused, from what their classes declare."""

from typing import Any

import pytest

from loomlab.catalog.compatibility import Pick, all_refusals, pair_refusal
from loomlab.catalog.source import ClassSource, Parameter

DEFAULTS = {"model": "gpt", "attention": "full"}


def pick(axis: str, option: str, **declared: Any) -> Pick:
    return Pick(axis, option, ClassSource("x.Y", attributes=declared))


GPT = pick("model", "gpt", architecture="decoder")
BERT = pick("model", "bert", architecture="encoder")
HF = pick("model", "hf", architecture="any", owns=("attention",))
CLM = pick("objective", "clm", requires={"model.architecture": ("decoder",)},
           because={"model.architecture": "it peeks"})  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (GPT, CLM, ""),
        (BERT, CLM, "objective=clm needs model.architecture to be decoder: it peeks"),
        (HF, CLM, ""),
        (pick("model", "odd"), CLM, ""),
        (pick("model", "both", architecture=("encoder", "decoder")), CLM, ""),
        (HF, pick("attention", "full"), ""),
        (HF, pick("attention", "window"), "model=hf brings its own attention, so "
                                          "attention=window would change nothing"),
        (pick("compression", "a", conflicts=("b",)), pick("compression", "b"),
         "compression=a cannot be combined with compression=b"),
        (pick("compression", "a", conflicts=("b",)), pick("compression", "c"), ""),
    ],
    ids=str,
)  # fmt: skip
def test_pair(one: Pick, other: Pick, expected: str):
    assert pair_refusal(one, other, DEFAULTS) == expected
    assert pair_refusal(other, one, DEFAULTS) == expected


def test_refusal_says_what_fits_on_either_side():
    fitting = {"model": [GPT, BERT, HF], "objective": [CLM, pick("objective", "mlm")]}
    (problem,) = all_refusals([BERT, CLM, pick("attention", "full")], DEFAULTS, lambda: fitting)
    assert problem.path == "model=bert objective=clm"
    assert problem.fix == (
        "with model=bert use objective=mlm, or with objective=clm use model=gpt|hf"
    )


def test_hints_go_with_all_else_that_is_chosen():
    labels = pick("objective", "labels", requires={"corpus.labelled": (True,)})
    objectives = [CLM, pick("objective", "mlm"), labels]
    books = pick("corpus", "books", labelled=False)
    (problem,) = all_refusals([BERT, CLM, books], DEFAULTS, lambda: {"objective": objectives})
    assert problem.fix == "with model=bert use objective=mlm"
    rows = pick("corpus", "rows", labelled=True)
    (problem,) = all_refusals([BERT, CLM, rows], DEFAULTS, lambda: {"objective": objectives})
    assert problem.fix == "with model=bert use objective=mlm|labels"


def test_every_refused_pair_of_a_job_is_found():
    picks = [HF, pick("attention", "window"), BERT, CLM]
    assert len(list(all_refusals(picks, DEFAULTS, dict))) == 2


@pytest.mark.parametrize(
    ("own", "others", "refused"),
    [(None, None, False), ("a==1", "a==1", False), ("a==1", None, True), ("a==1", "b==1", True)],
)
def test_settings_that_must_be_the_same(own: str | None, others: str | None, refused: bool):
    source = ClassSource("x.Y", attributes={"same": {"tokenizer": "package"}})
    model = Pick("model", "tiny", source, {"package": own})
    tokenizer = Pick("tokenizer", "hf", ClassSource("x.Z"), {"package": others})
    why = "model=tiny needs its own tokenizer" if refused else ""
    assert pair_refusal(model, tokenizer, DEFAULTS) == why
    assert pair_refusal(tokenizer, model, DEFAULTS) == why


def test_a_setting_says_more_than_the_class():
    parameters = {"architecture": Parameter("architecture", None, "any")}
    source = ClassSource("x.Y", parameters=parameters, attributes={"architecture": "any"})
    encoder = Pick("model", "tiny", source, {"architecture": "encoder"})
    assert "needs model.architecture to be decoder" in pair_refusal(encoder, CLM, DEFAULTS)
    assert pair_refusal(Pick("model", "tiny", source), CLM, DEFAULTS) == ""
