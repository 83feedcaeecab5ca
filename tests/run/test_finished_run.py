"""A finished run's model/ is a Transformers model like any other."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from loomlab.errors import InputError
from loomlab.run.evaluation import evaluate
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder

KINDS = {
    "gpt": (AutoModelForCausalLM, ["position=rope", "attention=sliding_window"]),
    "bert": (AutoModelForMaskedLM, ["model=bert", "objective=mlm"]),
}


@pytest.fixture(scope="module")
def runs(finish: Callable[..., RunFolder]) -> dict[str, RunFolder]:
    more = ["budget.steps=3", "optimizer.lr=0.01"]
    return {kind: finish(*more, *given) for kind, (_, given) in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_from_pretrained_gives_the_same_loss(kind: str, runs: dict[str, RunFolder]):
    auto: Any = KINDS[kind][0]
    model = auto.from_pretrained(runs[kind].model)
    objective, corpus = FinishedRun(runs[kind].path).with_corpus()
    assert type(model) is type(objective.model)
    objective.model = model
    numbers = evaluate(objective, corpus, False, batches=2)
    assert numbers["val/loss"] == pytest.approx(runs[kind].summary()["best"]["val/loss"], rel=1e-6)


def test_labels_of_transformers_give_the_loss_of_the_objective(runs: dict[str, RunFolder]):
    objective, corpus = FinishedRun(runs["gpt"].path).with_corpus()
    batch = next(iter(corpus.val_dataloader()))
    whole = torch.cat([batch["input_ids"][:, :1], batch["targets"]], dim=1)
    with torch.no_grad():
        theirs = objective.model(input_ids=whole, labels=whole).loss
        ours = objective.loss(*objective.predict(batch))
    assert float(theirs) == pytest.approx(float(ours), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizer_is_saved_beside_the_model(kind: str, runs: dict[str, RunFolder]):
    tokenizer = AutoTokenizer.from_pretrained(runs[kind].model)
    finished = FinishedRun(runs[kind].path)
    text = "Alice was beginning to get very tired."
    assert tokenizer(text).input_ids == finished.tokenizer(text).input_ids
    assert finished.model.config.vocab_size == len(tokenizer)
    assert not finished.model.training


@pytest.mark.parametrize(
    ("kind", "head", "instead"),
    [("gpt", "masked_lm", "loom generate"), ("bert", "causal_lm", "loom fill")],
)
def test_a_verb_without_its_head_is_refused(
    kind: str, head: str, instead: str, runs: dict[str, RunFolder]
):
    finished = FinishedRun(runs[kind].path)
    with pytest.raises(InputError, match=f"was trained with .* use `{instead}`"):
        finished.require(head)
    finished.require(finished.objective_class.head)


@pytest.mark.parametrize("place", ["objective.gone.CausalLM", "objective.clm.Gone"])
def test_an_option_that_is_gone_is_named(runs: dict[str, RunFolder], tmp_path: Path, place: str):
    folder = RunFolder(shutil.copytree(runs["gpt"].path, tmp_path / "run"))
    config = folder.path / "config.yaml"
    config.write_text(config.read_text().replace("objective.clm.CausalLM", place))
    with pytest.raises(InputError, match=f"run: .*loomlab.{place}"):
        FinishedRun(folder.path)


def test_an_unfinished_run_says_its_status(runs: dict[str, RunFolder], tmp_path_factory: Any):
    folder = RunFolder(tmp_path_factory.mktemp("unfinished"))
    folder.create(runs["gpt"].config(), [])
    with pytest.raises(InputError, match=r"no finished model \(status: not started\)"):
        FinishedRun(folder.path)
    folder.write_summary({"status": "interrupted"})
    with pytest.raises(InputError, match=r"\(status: interrupted\): go on with `loom train resu"):
        FinishedRun(folder.path)
