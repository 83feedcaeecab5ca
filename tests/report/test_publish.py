"""Results are put between the markers of a README."""

from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.report.publish import BEGIN, END, publish, record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study").mkdir()
    (tmp_path / "figure.png").write_bytes(b"a picture")
    return tmp_path / "study"


def test_table_and_figure_replace_the_old_ones(folder: Path, tmp_path: Path):
    readme = folder / "README.md"
    readme.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    publish(folder, "| new |", tmp_path / "figure.png")
    expected = f"# Title\n\n{BEGIN}\n| new |\n{END}\n\nafter\n"
    assert readme.read_text(encoding="utf-8") == expected
    assert (folder / "figure.png").read_bytes() == b"a picture"
    (tmp_path / "figure.png").write_bytes(b"another")
    publish(folder, "| new |", tmp_path / "figure.png")
    assert readme.read_text(encoding="utf-8") == expected
    assert (folder / "figure.png").read_bytes() == b"another"


@pytest.mark.parametrize("text", ["# Title\n", f"{BEGIN}\nno end\n", f"no begin\n{END}\n"])
def test_a_readme_without_markers_is_left_alone(folder: Path, tmp_path: Path, text: str):
    (folder / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"README\.md: has no lines"):
        publish(folder, "table", tmp_path / "figure.png")
    assert (folder / "README.md").read_text(encoding="utf-8") == text
    assert not (folder / "figure.png").exists()


def test_a_study_records_and_publishes_on_demand(folder: Path, tmp_path: Path):
    (folder / "README.md").write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    for place in (None, folder):
        record("| 1 |", lambda path: path.write_text("drawn") and None, tmp_path, place)
        assert (tmp_path / "table.md").read_text(encoding="utf-8") == "| 1 |\n"
        assert (tmp_path / "figure.png").read_text() == "drawn"
        assert (folder / "figure.png").exists() == (place is not None)
    assert (folder / "README.md").read_text(encoding="utf-8") == f"{BEGIN}\n| 1 |\n{END}\n"
