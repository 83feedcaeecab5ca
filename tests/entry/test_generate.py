"""`loom generate`: text from a trained decoder, picked as asked."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from loomlab.run.finished_run import FinishedRun

Verb = Callable[..., tuple[int, str, str]]
Trained = Callable[[str], Path]
PROMPT = "Alice was"


@pytest.fixture
def write(trained: Trained, verb: Verb) -> Callable[..., str]:
    """Text of the small GPT, twelve tokens after the prompt."""

    def text(*arguments: object) -> str:
        code, output, errors = verb(
            "generate", trained("gpt"), "--prompt", PROMPT, "--max-new-tokens", 12, *arguments
        )
        assert code == 0, errors
        return output

    return text


def greedy_by_hand(folder: Path, tokens: int) -> str:
    """Always the likeliest token, without a cache and without Transformers' generate."""
    run = FinishedRun(folder)
    ids = run.tokenizer(PROMPT, return_tensors="pt").input_ids
    with torch.no_grad():
        for _ in range(tokens):
            ids = torch.cat([ids, run.model(input_ids=ids).logits[:, -1:].argmax(-1)], dim=1)
    return str(run.tokenizer.decode(ids[0], skip_special_tokens=True))


def test_greedy_takes_the_likeliest_token(write: Callable[..., str], trained: Trained):
    text = write("--greedy")
    assert text == write("--greedy", "--seed", 7) == greedy_by_hand(trained("gpt"), 12) + "\n"
    assert text.startswith(PROMPT)


def test_sampling_is_repeatable_and_depends_on_the_seed(write: Callable[..., str]):
    assert write("--seed", 1) == write("--seed", 1)
    assert len({write("--seed", seed) for seed in range(4)}) > 1


def test_settings_that_leave_one_token_are_greedy(write: Callable[..., str]):
    greedy = write("--greedy")
    assert write("--top-k", 1, "--seed", 3) == greedy
    assert write("--temperature", 0.001, "--seed", 3) == greedy
    assert write("--top-p", 0.0001, "--seed", 3) == greedy


def test_beams_find_text_at_least_as_likely(write: Callable[..., str], trained: Trained):
    beams = write("--beams", 4)
    assert beams == write("--beams", 4, "--seed", 9)
    run = FinishedRun(trained("gpt"))

    def likelihood(text: str) -> float:
        ids = run.tokenizer(text.removesuffix("\n"), return_tensors="pt").input_ids
        with torch.no_grad():
            return -float(run.model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)

    assert likelihood(beams) >= likelihood(write("--greedy")) - 1e-4


def test_several_texts(write: Callable[..., str]):
    text = write("--count", 3)
    assert [line for line in text.splitlines() if line.startswith("--- ")] == [
        "--- 1",
        "--- 2",
        "--- 3",
    ]
    assert text.count(PROMPT) == 3


def test_length_is_counted_in_new_tokens(write: Callable[..., str], trained: Trained):
    tokenizer = FinishedRun(trained("gpt")).tokenizer
    text = write("--greedy", "--max-new-tokens", 5).removesuffix("\n")
    assert len(tokenizer(text).input_ids) <= len(tokenizer(PROMPT).input_ids) + 5


def test_a_prompt_longer_than_the_model_reads_is_printed_whole_and_said(
    trained: Trained, verb: Verb
):
    prompt = "A long beginning. " * 6
    asked = ("--prompt", prompt, "--greedy", "--max-new-tokens", 50)
    code, output, errors = verb("generate", trained("default"), *asked)
    assert code == 0
    assert output.startswith(prompt)
    assert len(output) > len(prompt) + 1
    assert "reads 32 tokens at a time, prompt and continuation may have 158: it goes on" in errors
    assert verb("generate", trained("default"), "--prompt", "A", "--max-new-tokens", 4)[2] == ""


def test_no_prompt_begins_a_document(trained: Trained, verb: Verb):
    code, output, _ = verb("generate", trained("gpt"), "--max-new-tokens", 4, "--greedy")
    assert code == 0
    assert PROMPT not in output


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--temperature", "0"),
        ("--temperature", "-1"),
        ("--top-p", "1.5"),
        ("--max-new-tokens", "0"),
        ("--beams", "0"),
        ("--top-k", "-1"),
        ("--count", "0"),
        ("--beams", "many"),
    ],
)
def test_values_out_of_range_are_refused_by_name(
    trained: Trained, verb: Verb, flag: str, value: str
):
    code, output, errors = verb("generate", trained("gpt"), flag, value)
    assert (code, output) == (2, "")
    assert flag in errors


def test_a_masked_model_is_refused_by_name(trained: Trained, verb: Verb):
    code, _, errors = verb("generate", trained("bert"))
    assert code == 2
    assert "objective=mlm; use `loom fill`" in errors


def test_a_counted_model_is_refused_by_name(trained: Trained, verb: Verb):
    code, _, errors = verb("generate", trained("ngram"))
    assert code == 2
    assert "model=ngram" in errors
    assert "use `loom evaluate`" in errors


def test_a_refusal_of_the_script_is_one_line(
    loom: Callable[..., subprocess.CompletedProcess[str]], trained: Trained
):
    done = loom("generate", str(trained("bert")))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert json.loads((trained("bert") / "summary.json").read_text())["status"] == "finished"
