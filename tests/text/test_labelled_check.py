"""What is wrong with labelled files is said before anything heavy is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from loomlab.compose.gate import check
from loomlab.text.labelled_check import problems


def test_sound_files_have_no_problem(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "x,good\ny,bad\n" * 9)
    assert problems({"path": str(path), "validation_every": 4}) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": ""}, "path: nothing is set: give a .csv, .tsv, .jsonl, .parquet file"),
        ({"path": "NOWHERE.csv"}, "path: NOWHERE.csv does not exist"),
        ({"path": "a.csv", "validation_path": "b.csv"}, "validation_path: b.csv does not exist"),
        ({"path": "a.csv", "label_key": "stars"}, 'path: a.csv: there is no "stars"'),
        ({"path": "a.csv", "labels": ["x", "y"]}, "path: a.csv, line 2: the label 'good' is not"),
        ({"path": "a.csv", "labels": [1, 0]}, "path: a.csv, line 2: the label 'good' is not one"),
        ({"path": "a.csv", "labels": ["x", "x"]}, "corpus.labels=[x,x]: a name is there twice"),
    ],
)
def test_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict, words: str):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text,label\nx,good\ny,bad\n")
    (problem,) = problems(settings)
    assert problem.startswith(words)


def test_labels_that_are_not_used_are_not_looked_at(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("text\nx\n")
    assert problems({"path": str(path)})
    assert problems({"path": str(path)}, reads="windows") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\nx,good\ny,\n", "a.csv, line 3: no label"),
        ("text,label\n" + "x,good\n" * 20, "all 18 training rows are labelled 'good'"),
        ("text,label\n" + "x,good\ny,bad\n" * 5 + "z,odd\n", "the label 'odd' of this held-out"),
    ],
)
def test_the_gate_refuses(tmp_path: Path, content: str, words: str):
    given = ["objective=classification", "corpus=labelled", f"corpus.path={tmp_path / 'a.csv'}"]
    (tmp_path / "a.csv").write_text(content)
    every = "corpus.validation_every=" + ("11" if "odd" in content else "10")
    assert words in check([*given, every]).message()


def test_the_command_refuses(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,good\ny,\n")
    command = [
        sys.executable, "-m", "loomlab", "train", "objective=classification", "corpus=labelled",
        f"corpus.path={path}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "a.csv, line 3: no label" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "outputs").exists()
