"""Runs by what a user calls them."""

from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.report.collect import collect
from loomlab.report.find import find_run, named
from loomlab.report.row import Row


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    for name in ("s/000_lr-1_ab", "s/001_lr-2_cd", "s/0010_lr-3_ef", "other/base"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.yaml").write_text("seed: 1\n")
    return collect([tmp_path / "s"])


def test_by_name_folder_path_and_beginning(rows: list[Row], tmp_path: Path):
    first = rows[0]
    for name in (
        "000_lr-1_ab",
        "000",
        "000_lr",
        str(first.folder.path),
        f"{tmp_path}/s/../s/{first.name}",
    ):
        assert find_run(rows, name) is first


def test_one_that_was_not_collected_is_read(rows: list[Row], tmp_path: Path):
    assert find_run(rows, str(tmp_path / "other" / "base")).name == "base"
    assert find_run([], str(tmp_path / "other")).name == "base"


def test_none_or_several_are_refused(rows: list[Row], tmp_path: Path):
    with pytest.raises(InputError, match="'00' may be 3 runs"):
        find_run(rows, "00")
    with pytest.raises(InputError, match="there is no run '001_lr-2_ce'; did you mean 001_lr-2"):
        find_run(rows, "001_lr-2_ce")
    with pytest.raises(InputError, match="may be 4 runs"):
        find_run(rows, str(tmp_path))
    assert named(rows, "") == []
