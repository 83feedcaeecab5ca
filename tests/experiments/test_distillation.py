"""The study of distillation: it composes, and its table tells what is kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.report.study import find_study, study_rows
from loomlab.sweep.plan import plan

Perform = Callable[[dict[str, list[str]], Path], None]


@pytest.mark.slow
def test_what_starts_from_nothing_composes():
    study = find_study("distillation")
    for name, words in study.commands(False, []).items():
        if not name.endswith("student"):
            checked = plan([*words, "logger=none"]).checked
            assert not checked.problems, checked.message()
    seeds = [line for line in study.sweeps.values() if "seed=1,2,3" in line]
    assert len(seeds) == 4, "students of both objectives, with a teacher and without"


def test_what_is_kept_is_a_share_of_the_gain():
    script = find_study("distillation").script()
    levels = {"baseline": 3.0, "teacher": 2.0, "student": 2.04, "scratch": 2.2}
    found = {
        ("clm", role): script.Kind("clm", role, {1: level}, 10.0, 1.0)
        for role, level in levels.items()
    }
    assert script.kept(found, found["clm", "student"]) == pytest.approx(0.96)
    assert script.kept(found, found["clm", "baseline"]) == 0.0
    (verdict,) = script.verdicts(found)
    assert verdict == "- clm: keeps 96.0% (95 %: holds), -0.1600 bits/byte from scratch"


@pytest.mark.soak
def test_it_runs_and_is_drawn(perform: Perform, tmp_path: Path, tiny: Callable[..., list[str]]):
    study, output = find_study("distillation"), tmp_path / "drawn"
    small = [o for o in tiny() if o.startswith(("corpus", "paths.cache", "sequence", "logger"))]
    small += ["budget.tokens=null", "budget.steps=1", "tokenizer=byte", "global_batch_size=4"]
    chain = {}
    for name, words in study.commands(True, small).items():
        if name.startswith("clm"):
            chain[name] = [w for w in words if not w.startswith(("corpus.val", "tokenizer.vocab"))]
    perform(chain, output)
    study.script().draw(study_rows(study, output), output, None)
    lines = (output / "table.md").read_text(encoding="utf-8").splitlines()
    roles = [line.split(" | ")[1] for line in lines[2:6]]
    assert sorted(roles) == sorted(study.script().NAMES.values())
    assert (output / "figure.png").stat().st_size > 1000
