"""Packages: found where they are, checked before they are unpacked; a failure leaves nothing."""

import hashlib
import zipfile

import pytest

from loomlab.errors import InputError
from loomlab.text.package import fetch_package, package_folder

WRONG = "0" * 64


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A tiny wheel in a folder that is all pip sees of an index."""
    folder = tmp_path / "index"
    folder.mkdir()
    path = folder / "some_texts-1.0-py3-none-any.whl"
    info = "some_texts-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_texts/__init__.py", "")
        archive.writestr("some_texts/data/a.txt", "text\n")
        about = ("Metadata-Version: 2.1", "Name: some-texts", "Version: 1.0")
        asks = "Requires-Dist: what-nobody-needs-to-read-texts"
        archive.writestr(f"{info}/METADATA", "\n".join((*about, asks, "")))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unpacked(cache):
    return [path.name for path in (cache / "packages").iterdir() if path.is_dir()]


def test_an_installed_package_is_found_first(tmp_path):
    folder = fetch_package("numpy==0", "numpy", WRONG, tmp_path)
    assert (folder / "__init__.py").is_file()
    assert list(tmp_path.iterdir()) == []


def test_a_fetched_package_is_found(tmp_path):
    assert package_folder("some-texts==1.0", "some_texts", tmp_path) is None
    (tmp_path / "packages" / "some-texts-1.0" / "some_texts").mkdir(parents=True)
    assert fetch_package("some-texts==1.0", "some_texts", WRONG, tmp_path).name == "some_texts"


def test_the_declared_wheel_is_unpacked(tmp_path, wheel):
    folder = fetch_package("some-texts==1.0", "some_texts", sha256(wheel), tmp_path)
    assert (folder / "data" / "a.txt").read_text() == "text\n"
    assert unpacked(tmp_path) == ["some-texts-1.0"]


def test_another_wheel_is_refused_and_leaves_nothing(tmp_path, wheel):
    with pytest.raises(InputError, match=r"not unpacked.*sha256 \w{12}\.\.\., not 000000000000"):
        fetch_package("some-texts==1.0", "some_texts", WRONG, tmp_path)
    assert unpacked(tmp_path) == []


def test_source_distributions_are_not_built(tmp_path, wheel):
    source = wheel.with_name("some_texts-1.0.tar.gz")
    wheel.rename(source)
    with pytest.raises(InputError, match="could not be fetched"):
        fetch_package("some-texts==1.0", "some_texts", sha256(source), tmp_path)
    assert unpacked(tmp_path) == []


@pytest.mark.parametrize(
    ("requirement", "digest"),
    [("some-texts", WRONG), ("some-texts>=1", WRONG), ("some-texts==1.0", "")],
)
def test_only_exact_versions_with_a_hash(tmp_path, requirement, digest):
    with pytest.raises(InputError, match="exact name==version and the 64 hex digits"):
        fetch_package(requirement, "some_texts", digest, tmp_path)


def test_a_failed_download_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "packages" / "some-texts-1.0" / "other").mkdir(parents=True)  # not what was asked
    with pytest.raises(InputError, match=r"some-texts==1\.0 could not be fetched.*pip install"):
        fetch_package("some-texts==1.0", "some_texts", WRONG, tmp_path)
    assert unpacked(tmp_path) == []
