"""Samples of the model's text, which change nothing else."""

from collections.abc import Callable

import pytest
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "sequence_length=64"]
LONG = ["budget.steps=4", "trainer.val_every_n_steps=2", "model.dropout=0.2"]
KINDS = {"clm": ["objective=clm"], "mlm": ["objective=mlm", "model=bert"]}


def numbers(folder: RunFolder) -> list[dict[str, float]]:
    rows = read_metrics(folder.metrics)
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, fast=["clm"], slow=["mlm"]))
def test_samples_grow_and_change_nothing(train: Callable[..., RunFolder], kind: str):
    settings = [*KINDS[kind], *SMALL, *LONG]
    silent = train(*settings, folder="silent")
    telling = train(*settings, "callbacks=[samples]", folder="telling")
    assert not (silent.path / "samples.txt").exists()
    text = (telling.path / "samples.txt").read_text(encoding="utf-8")
    heads = [line for line in text.splitlines() if line.startswith("---")]
    assert [head.split()[2] for head in heads] == ["2", "4"]
    assert numbers(silent) == numbers(telling), "the random state of training is left alone"
    one, other = (load_file(f.model / "model.safetensors") for f in (silent, telling))
    assert all(one[key].equal(other[key]) for key in one.keys() | other.keys())


def test_the_prompt_is_continued(train: Callable[..., RunFolder]):
    prompt = "callbacks.samples.prompt=Alice"
    short = train(
        *SMALL, "callbacks=[samples]", prompt, "callbacks.samples.length=3", folder="short"
    )
    long = train(
        *SMALL, "callbacks=[samples]", prompt, "callbacks.samples.length=30", folder="long"
    )
    texts = [(f.path / "samples.txt").read_text(encoding="utf-8") for f in (short, long)]
    assert all("Alice" in text for text in texts)
    assert len(texts[0]) < len(texts[1])


def test_masks_are_filled(train: Callable[..., RunFolder]):
    fill = "callbacks.samples.fill='the [MASK] was here'"
    folder = train(*KINDS["mlm"], *SMALL, "callbacks=[samples]", fill)
    text = (folder.path / "samples.txt").read_text(encoding="utf-8")
    assert "was here" in text
    assert "--- step 1" in text
