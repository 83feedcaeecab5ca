"""Curves for a page: small, with their spikes, and true where they are kept."""

import math
from pathlib import Path

import numpy as np

from loomlab.report.thinning import curves, knots, read_columns, rounded, thinned

HEAD = "step,tokens,flops,seconds,train/loss,val/loss\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    return path


def test_a_short_curve_is_whole_and_a_long_one_keeps_its_spike():
    values = np.sin(np.arange(10_000) / 300)
    values[4321] = 50.0
    values[7000] = -50.0
    kept = thinned(200, values)
    assert len(kept) <= 200
    assert {0, 4321, 7000, 9999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    assert thinned(200, values[:150]).tolist() == list(range(150))


def test_a_curve_that_diverged_has_gaps_and_keeps_what_is_finite():
    values = np.full(1000, math.nan)
    values[:3] = 1, 2, 3
    assert set(range(3)) <= set(thinned(50, values).tolist())


def test_sparse_columns_keep_their_own_steps(tmp_path: Path):
    rows = [
        f"{s},{s * 8},{s * 100},{s / 4},{s}.5,{s if s % 5 == 0 else ''}\n" for s in range(1, 11)
    ]
    columns = read_columns(written(tmp_path, HEAD + "".join(rows)))
    found = curves(columns, 100)
    assert found["val/loss"] == ([5, 10], [5, 10])
    assert found["train/loss"][0] == list(range(1, 11))
    assert knots(columns)["tokens"] == [8 * s for s in range(1, 11)]
    assert len(curves(columns, 4)["train/loss"][0]) <= 4


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path):
    columns = read_columns(written(tmp_path, HEAD + "1,8,100,0.5,3.25,\n2,16,2"))
    assert columns["step"].tolist() == [1]
    assert curves(columns, 100) == {"train/loss": ([1], [3.25])}


def test_no_file_an_empty_one_and_only_a_heading(tmp_path: Path):
    for columns in (
        read_columns(tmp_path / "none.csv"),
        read_columns(written(tmp_path, "")),
        read_columns(written(tmp_path, HEAD)),
    ):
        assert curves(columns, 100) == {}
        assert knots(columns) == {"step": [], "tokens": [], "flops": [], "seconds": []}


def test_what_is_not_finite_is_a_gap(tmp_path: Path):
    columns = read_columns(
        written(tmp_path, HEAD + "1,8,9,1,inf,\n2,16,18,2,1.5,\n3,24,27,3,nan,\n")
    )
    assert curves(columns, 10)["train/loss"] == ([1, 2], [None, 1.5])
    assert rounded(math.nan) is None
    assert rounded(123456.789) == 123460
    assert rounded(0.000123456789) == 0.00012346
