"""Paths: which files they mean, and each way in which one can be wrong."""

import os
import subprocess
import sys

import pytest

from loomlab.errors import InputError
from loomlab.text.files import corpus_files, path_problems, tell_left_out


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "a.jsonl.gz", "sub/c.parquet", "notes.md"):
        (tmp_path / name).write_text("x")
    return tmp_path


def names(path):
    return [file.name for file in corpus_files(str(path))]


def test_file_folder_and_glob(folder):
    assert names(folder / "b.txt") == ["b.txt"]
    assert names(folder) == ["a.jsonl.gz", "b.txt", "c.parquet"]
    assert names(folder / "*.txt") == ["b.txt"]
    assert names(folder / "**" / "*.parquet") == ["c.parquet"]
    (folder / "b[1].txt").write_text("x")
    assert names(folder / "b[1].txt") == ["b[1].txt"], "a name before a pattern"


def test_a_tilde_is_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert names("~/b.txt") == names("~/*.txt") == ["b.txt"]
    assert names("~") == names(folder)


def test_suffixes_in_any_case_links_and_what_is_left_out(folder, tmp_path, caplog):
    (folder / "B.TXT").write_text("x")
    (folder / ".draft.txt").write_text("x")
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    elsewhere.mkdir()
    (elsewhere / "D.Jsonl.GZ").write_text("x")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "again.txt").symlink_to(folder / "b.txt")
    found = ["B.TXT", "a.jsonl.gz", "b.txt", "D.Jsonl.GZ", "c.parquet"]
    assert names(folder) == names(folder) == found
    for path in (folder, folder, folder / "**" / "*", folder / "B.TXT"):
        tell_left_out(str(path))
    said, of_glob = caplog.messages
    assert said.startswith(f"corpus.path={folder}: 2 files left out, hidden or not one of .txt, ")
    assert said.endswith(": .draft.txt, notes.md")
    assert names(folder / "**" / "*") == names(f"{folder}/**") == found, "as a glob"
    assert of_glob.startswith(f"corpus.path={folder}/**/*: 1 files left out")
    assert names(folder / "B.TXT") == ["B.TXT"]
    assert names(folder / ".draft.txt") == [".draft.txt"], "it is named"


def problem(path):
    (text,) = path_problems({"path": str(path)})
    with pytest.raises(InputError, match=r"^corpus\.path: "):
        corpus_files(str(path))
    return text


def test_each_fault_has_its_sentence(folder):
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    assert "leads back to itself" in problem(folder / "loop.txt")
    (folder / "loop.txt").unlink()
    (folder / "dead.txt").symlink_to(folder / "gone")
    assert "link to a missing file" in problem(folder / "dead.txt")
    assert "broken or circular" in problem(folder)
    (folder / "dead.txt").unlink()
    assert problem("").endswith(
        "nothing is set: give a .txt, .jsonl, .parquet file, a folder or a glob"
    )
    os.mkfifo(folder / "pipe.txt")
    for place in (folder / "pipe.txt", folder, folder / "*.txt"):
        assert f"{folder}/pipe.txt is a pipe, a device or a socket" in problem(place)
    assert "is a pipe, a device or a socket" in problem("/dev/zero")
    (folder / "pipe.txt").unlink()
    assert f"did you mean {folder}/b.txt?" in problem(folder / "bb.txt")
    assert f"does not exist: nothing like it in {folder}" in problem(folder / "quite_other.gz")
    assert "nor does its folder" in problem(folder / "nowhere" / "b.txt")
    assert "is not one of .txt" in problem(folder / "notes.md")
    assert "matches no .txt" in problem(folder / "*.csv")


def test_empty_file_and_empty_folder(tmp_path):
    assert "contains no .txt" in problem(tmp_path)
    (tmp_path / "a.txt").touch()
    assert "is empty (0 bytes)" in problem(tmp_path / "a.txt")
    assert "is empty (0 bytes)" in problem(tmp_path)
    (tmp_path / "b.txt").write_text("x")
    assert names(tmp_path) == ["a.txt", "b.txt"], "not all are empty"


def test_of_many_files_left_out_some_are_named(folder, caplog):
    for number in range(5):
        (folder / f"{number}.md").touch()
    tell_left_out(str(folder))
    (said,) = caplog.messages
    assert f"corpus.path={folder}: 6 files left out" in said
    assert said.endswith(": 0.md, 1.md, 2.md, 3.md, ...")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(folder):
    (folder / "b.txt").chmod(0)
    assert "permissions" in problem(folder / "b.txt")


def test_the_check_needs_no_heavy_import():
    code = (
        "import sys; from loomlab.text.files import path_problems; path_problems({'path': 'x'});"
        "print(*{'torch', 'transformers', 'pytorch_lightning', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
