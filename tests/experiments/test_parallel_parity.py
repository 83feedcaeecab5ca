"""The study of ways to spread a run: its sweeps are valid, its table says which are the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.catalog.axes import all_options
from loomlab.catalog.search import package_conf
from loomlab.report.ranking import finished_rows
from loomlab.report.study import find_study
from loomlab.run.folder import RunFolder
from loomlab.sweep.plan import plan

SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "trainer.log_every_n_steps=1"]


def test_every_option_is_run_and_compared():
    seen: dict[str, set[str]] = {"clm": set(), "mlm": set()}
    for overrides in find_study("parallel_parity").commands(False, []).values():
        given = dict(override.split("=", 1) for override in overrides if "=" in override)
        seen[given["objective"]] |= set(given["parallelism"].split(","))
    every = set(all_options([package_conf()])["parallelism"])
    assert seen == {"clm": every, "mlm": every}


@pytest.mark.slow
def test_its_sweeps_are_valid():
    for overrides in find_study("parallel_parity").commands(False, []).values():
        checked = plan([*overrides, "logger=none"]).checked
        assert not checked.problems, checked.message()


@pytest.mark.soak
@pytest.mark.usefixtures("warm_ranks")
def test_its_table_says_which_are_the_same(
    train: Callable[..., RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    train(*SMALL, folder="alone")
    train(*SMALL, "parallelism=ddp", folder="pair")
    train(*SMALL, "parallelism=local_sgd", "parallelism.sync_every=2", folder="apart")
    output = tmp_path / "drawn"
    output.mkdir()
    capsys.readouterr()
    find_study("parallel_parity").script().draw(finished_rows([tmp_path]), output, None)
    lines = capsys.readouterr().out.splitlines()
    verdicts = {line.split(" | ")[1]: line.split(" | ")[-1].strip("| ") for line in lines[2:]}
    assert verdicts == {"single": "-", "ddp": "yes", "local_sgd, sync_every=2": "no"}
    assert (output / "table.md").read_text(encoding="utf-8").splitlines() == lines
    assert (output / "figure.png").stat().st_size > 1000
