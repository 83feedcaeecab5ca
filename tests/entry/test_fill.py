"""`loom fill`: likely words for the masks of a text."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from loomlab.run.finished_run import FinishedRun

Verb = Callable[..., tuple[int, str, str]]
Trained = Callable[[str], Path]
TEXT = "Ali[MASK]e was ve[MASK]y tired"


def probabilities(line: str) -> list[float]:
    """The numbers of a line of candidates."""
    return [float(word) for word in re.findall(r"\b[01]\.\d{3}\b", line)]


def test_masks_are_filled_with_the_likeliest(trained: Trained, verb: Verb):
    code, output, errors = verb("fill", trained("bert"), TEXT)
    assert code == 0, errors
    filled, *lines = output.splitlines()
    assert "[MASK]" not in filled
    assert filled.startswith("Ali")
    assert filled.endswith("y tired")
    assert [line.split(":")[0] for line in lines] == ["  mask 1", "  mask 2"]
    run = FinishedRun(trained("bert"))
    text = TEXT.replace("[MASK]", run.tokenizer.mask_token)
    ids = run.tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        logits = run.model(input_ids=ids).logits[0]
    for line, place in zip(lines, (ids[0] == run.tokenizer.mask_token_id).nonzero(), strict=True):
        expected = logits[int(place)].softmax(-1).topk(5).values.tolist()
        assert probabilities(line) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("top", [1, 3])
def test_as_many_candidates_as_asked_for(trained: Trained, verb: Verb, top: int):
    code, output, _ = verb("fill", trained("bert"), "the [MASK]", "--top", top)
    assert code == 0
    assert len(probabilities(output.splitlines()[1])) == top


def test_filling_is_the_same_twice(trained: Trained, verb: Verb):
    assert verb("fill", trained("bert"), TEXT) == verb("fill", trained("bert"), TEXT)


def test_a_text_without_mask_is_refused(trained: Trained, verb: Verb):
    code, output, errors = verb("fill", trained("bert"), "nothing is missing")
    assert (code, output) == (2, "")
    assert "the text has no [MASK]" in errors


def test_a_text_longer_than_the_model_is_refused(trained: Trained, verb: Verb):
    code, _, errors = verb("fill", trained("bert"), "word " * 40 + "[MASK]")
    assert code == 2
    assert "32" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("top", ["0", "-2", "100000"])
def test_a_number_of_candidates_that_cannot_be_is_refused(trained: Trained, verb: Verb, top: str):
    code, output, errors = verb("fill", trained("bert"), TEXT, "--top", top)
    assert (code, output) == (2, "")
    assert "--top" in errors


@pytest.mark.parametrize("kind", ["gpt", "ngram"])
def test_another_kind_of_run_is_refused_by_name(kind: str, trained: Trained, verb: Verb):
    code, _, errors = verb("fill", trained(kind), TEXT)
    assert code == 2
    assert "was trained with objective=clm; use `loom" in errors
