"""Files of both splits: built once, and again when one of them is not what its manifest says."""

from dataclasses import dataclass
from pathlib import Path

from loomlab.text.split_files import cached_splits, manifest_problem
from loomlab.text.token_file import file_sha256


@dataclass
class Record:
    schema_version: int
    sha: str

    def sums(self) -> dict[str, str]:
        return {"data": self.sha}


def read(folder: Path) -> Record:
    version, sha = (folder / "manifest").read_text().split()
    return Record(int(version), sha)


def test_a_fault_of_one_split_builds_both(tmp_path: Path):
    built: list[str] = []

    def build(folders: dict[str, Path]) -> None:
        for split, folder in folders.items():
            built.append(split)
            (folder / "data").write_text(split)
            (folder / "manifest").write_text(f"1 {file_sha256(folder / 'data')}")

    def problem(folder: Path) -> str | None:
        return manifest_problem(folder, read, 1)

    train, validation = cached_splits(tmp_path / "made", build, problem)
    assert (train.name, validation.name) == ("train", "validation")
    cached_splits(tmp_path / "made", build, problem)
    assert built == ["train", "validation"]
    (validation / "data").write_text("other")
    assert problem(validation) == "validation: checksum of the labels differs from the manifest"
    cached_splits(tmp_path / "made", build, problem)
    assert built == ["train", "validation"] * 2
    assert problem(validation) is None
    assert "another format" in str(manifest_problem(train, read, 2))
    (train / "manifest").unlink()
    assert "unreadable" in str(problem(train))
