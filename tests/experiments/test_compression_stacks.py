"""The study of stacks: the whole chain of one model runs, and its tables compare what is alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.report.study import find_study, study_rows
from loomlab.sweep.plan import plan

Perform = Callable[[dict[str, list[str]], Path], None]


def test_what_starts_from_nothing_composes():
    study = find_study("compression_stacks")
    first = {n: w for n, w in study.commands(False, []).items() if n in ("gpt", "bert")}
    assert len(first) == 2
    for words in first.values():
        checked = plan(words).checked
        assert not checked.problems, checked.message()
    stacks = sum(line.count("[") for line in study.sweeps.values())
    assert stacks >= 2 * 12


@pytest.mark.soak
def test_two_orders_run_and_are_compared(
    perform: Perform, tmp_path: Path, tiny: Callable[..., list[str]]
):
    study, output = find_study("compression_stacks"), tmp_path / "drawn"
    small = [o for o in tiny() if o.startswith(("corpus", "paths.cache", "sequence", "logger"))]
    small += ["model.width=16", "model.heads=2", "budget.tokens=null", "budget.steps=1"]
    small += ["tokenizer=byte", "global_batch_size=4", "trainer.limit_val_batches=1"]
    stacks = {"post": "[]", "narrow_post": "[gptq]"}
    stacks |= dict.fromkeys(
        ("post_narrow", "longer_post_narrow"), "[prune_structured],[prune_structured,gptq]"
    )
    chain = {}
    for name, words in study.commands(False, small).items():
        family, _, rest = name.partition("_")
        if family == "gpt" and rest in ("", "narrow", "longer", *stacks):
            kept = [w for w in words if not w.startswith(("corpus.val", "tokenizer.vocab"))]
            chain[name] = [
                f"compression={stacks[rest]}" if rest in stacks and w[:12] == "compression=" else w
                for w in kept
            ]
    perform(chain, output)
    script, rows = study.script(), study_rows(study, output)
    script.draw(rows, output, None)
    text = (output / "table.md").read_text(encoding="utf-8")
    for one, other in script.ORDERS[:2]:
        assert any(one in line and other in line for line in text.splitlines())
    size = {stack.name: stack.written for stack in script.stacks(rows)}
    for one, other in script.ORDERS[:2]:
        assert size[one] == pytest.approx(size[other], rel=0.01), "orders end at the same size"
    assert size["prune_structured > distill"] < size["whole"]
    assert (output / "figure.png").stat().st_size > 1000


def test_costs_of_stacks_are_told_from_those_of_their_steps():
    script = find_study("compression_stacks").script()
    losses = {"whole": 2.0, "prune_sparsegpt": 2.1, "gptq": 2.05, "prune_sparsegpt > gptq": 2.2}
    told = script.together([script.Stack("bert", n, q, 1.0, 1.0) for n, q in losses.items()])
    assert told.splitlines()[2:] == ["| BERT | prune_sparsegpt > gptq | +0.2000 | +0.1500 |"]
