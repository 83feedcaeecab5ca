"""Folders and globs: links are followed, circles end, and no file has two names."""

import os
from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.text.tree import each_once, files_below, files_of_glob, folders_below


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder whose links lead inside, outside, upwards, in a circle and nowhere."""
    root = tmp_path / "root"
    for name in ("a/one.txt", "z/deep/two.txt", "top.txt", ".hidden/no.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "three.txt").touch()
    for name, target in {
        "a/linked": tmp_path / "pool", "0z": root / "z", "up": root, "z/back": root / "a",
        "a/self": root / "a" / "self", "0one.txt": root / "a" / "one.txt", "dead.txt": "gone",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    return root


FOUND = ["a/linked/three.txt", "a/one.txt", "dead.txt", "top.txt", "z/deep/two.txt"]


def inside(root: Path, files: list[Path]) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


def test_every_folder_once_by_its_own_name(root: Path):
    assert inside(root, folders_below(root)) == [".", "a", "z", "z/deep", "a/linked"]
    below = files_below(root)
    assert inside(root, below) == sorted(["0one.txt", "a/self", *FOUND])
    assert inside(root, sorted(each_once(below))) == sorted(["a/self", *FOUND])


def test_a_glob_means_the_same_files(root: Path):
    assert inside(root, files_of_glob(f"{root}/**/*.txt")) == FOUND
    assert inside(root, files_of_glob(f"{root}/**/**/*.txt")) == FOUND
    assert inside(root, files_of_glob(f"{root}/z/d*/**")) == ["z/deep/two.txt"]
    assert inside(root, files_of_glob(f"{root}/**/linked/**/*.txt")) == ["a/linked/three.txt"]
    assert inside(root, files_of_glob(f"{root}/[0a]*/*.txt")) == ["a/one.txt"]
    assert inside(root, files_of_glob(f"{root}/.h*/*.txt")) == [".hidden/no.txt"], "it is named"
    assert files_of_glob(f"{root}/nothing/**/*.txt") == []
    (root / "z" / "folder.txt").mkdir()
    assert files_of_glob(f"{root}/z/*.txt") == [], "a folder is no file"


def test_relative_paths_stay_so(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(root / "z")
    found = [Path("back/linked/three.txt"), Path("back/one.txt"), Path("deep/two.txt")]
    assert files_of_glob("**/*.txt") == found
    assert files_below(Path("deep")) == found[2:]


def test_circles_through_many_folders_end(tmp_path: Path):
    for number in range(12):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / "text.txt").touch()
    for number in range(12):
        for other in range(12):
            (tmp_path / f"d{number}" / f"to{other}").symlink_to(tmp_path / f"d{other}")
    assert len(files_below(tmp_path)) == len(files_of_glob(f"{tmp_path}/**/*.txt")) == 12


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_folder_is_named(root: Path):
    (root / "a").chmod(0)
    with pytest.raises(InputError, match=r"the folder .*/a cannot be read \(Permission denied\)"):
        folders_below(root)
