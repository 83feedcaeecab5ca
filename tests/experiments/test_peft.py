"""The study of parameter-efficient tuning: its sweeps are valid, its table is of its runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.report.ranking import finished_rows
from loomlab.report.study import find_study
from loomlab.run.folder import RunFolder
from loomlab.sweep.plan import plan

REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"
SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "objective=classification"]


@pytest.mark.slow
def test_every_sweep_has_three_seeds_that_compose():
    study = find_study("peft")
    assert list(study.sweeps) == ["full", "lora", "adapters", "ia3"]
    for overrides in study.commands(False, []).values():
        checked = plan([*overrides, "logger=none"]).checked
        assert not checked.problems, checked.message()
        assert sorted(c.seed for c in checked.configs.values()) == [1, 2, 3]


def test_its_table_tells_what_was_trained(
    train: Callable[..., RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = [*SMALL, "corpus=labelled", f"corpus.path={REVIEWS}", "corpus.validation_every=3"]
    whole = train(*given, folder="whole").summary()["parameters"]
    part = train(*given, "compression=[ia3]", folder="part").summary()["compression"]["IA3"]
    output = tmp_path / "drawn"
    output.mkdir()
    find_study("peft").script().draw(finished_rows([tmp_path]), output, None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(f"| full tuning | {whole:,} | 100.00% | 0.")
    share = part["trainable_parameters"] / part["parameters"]
    assert lines[3].startswith(f"| ia3 | {part['trainable_parameters']:,.0f} | {share:.2%} | 0.")
    assert (output / "table.md").read_text(encoding="utf-8").splitlines() == lines
    assert (output / "figure.png").stat().st_size > 1000
