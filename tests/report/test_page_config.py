"""Where configs of a sweep differ: what `loom compare --diff` says of any two of its runs."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from loomlab.report.collect import collect
from loomlab.report.difference import difference_sheet
from loomlab.report.page_config import LONGEST, configs
from loomlab.report.page_data import page_data
from loomlab.run.ledger import Ledger


def between(one: dict[str, Any], other: dict[str, Any]) -> list[list[str]]:
    """As the page does it."""
    known = [k for k in {**one["values"], **other["values"]}
             if all(c["whole"] or k in c["values"] for c in (one, other))]  # fmt: skip
    pairs = [[k, *(c["values"].get(k, "-") for c in (one, other))] for k in known]
    return sorted(pair for pair in pairs if pair[1] != pair[2])


@pytest.fixture
def sweep(make_sweep: Callable[..., Path], tmp_path: Path) -> Path:
    """Runs that differ in defaults, too, in a secret, in a class, and one that never started."""
    folder = make_sweep(tmp_path / "sweep", done=3, pending=1)
    more: list[dict[str, Any]] = [
        {"optimizer": {"lr": 1, "betas": [0.9, 0.95], "_target_": "AdamW"}, "paths": {"a": 1}},
        {"optimizer": {"lr": 1.0, "momentum": 0.9, "_target_": "SGD"}, "paths": {"a": 2}},
        {"optimizer": {"lr": None, "api_key": "0123456789"}, "text": "x" * 999},
    ]
    for job, settings in zip(Ledger(folder).jobs(), more, strict=False):
        path = folder / job.folder / "config.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | settings))
    return folder


def test_any_two_runs_differ_as_compare_says(sweep: Path):
    rows = collect([sweep])
    told = configs(rows)
    for i, j in combinations(range(4), 2):
        rows_of_sheet = difference_sheet(rows[i], rows[j]).rows
        said = [[cell if len(cell) <= LONGEST else cell[:197] + "..." for cell in row]
                for row in rows_of_sheet]  # fmt: skip
        assert [[k, a.removesuffix(".0"), b.removesuffix(".0")] for k, a, b in sorted(said)] == (
            between(told[i], told[j])
        ), (i, j)
    assert not {"paths.a", "optimizer._target_"} & {k for c in told for k in c["values"]}
    assert "0123456789" not in str(told)
    assert [c["whole"] for c in told] == [True, True, True, False]


@pytest.mark.slow
def test_the_page_shows_them(browser: Any, sweep: Path):
    from loomlab.report.page import write_report

    browser.open(write_report(sweep))
    runs = page_data(sweep)["runs"]
    browser.choose("this-run", "0")
    browser.choose("other-run", "2")
    rows = browser.js(
        "[...document.querySelectorAll('#differences tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert rows == between(runs[0]["config"], runs[2]["config"])
    assert ["optimizer.lr", "1", "null"] in rows
    assert browser.console == []
