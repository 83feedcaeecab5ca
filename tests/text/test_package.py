"""Packages: found where they are; a failed download says so and leaves nothing."""

import pytest

from loomlab.errors import InputError
from loomlab.text.package import fetch_package, package_folder


def test_an_installed_package_is_found_first(tmp_path):
    folder = fetch_package("numpy==0", "numpy", tmp_path)
    assert (folder / "__init__.py").is_file()
    assert list(tmp_path.iterdir()) == []


def test_a_fetched_package_is_found(tmp_path):
    assert package_folder("some-texts==1.0", "some_texts", tmp_path) is None
    (tmp_path / "packages" / "some-texts-1.0" / "some_texts").mkdir(parents=True)
    assert fetch_package("some-texts==1.0", "some_texts", tmp_path).name == "some_texts"


def test_a_failed_download_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InputError, match=r"some-texts==1\.0 could not be fetched.*pip install"):
        fetch_package("some-texts==1.0", "some_texts", tmp_path)
    assert [path.name for path in (tmp_path / "packages").iterdir() if path.is_dir()] == []
