"""Corpus `python_stdlib`: real code, fixed order, capped, tests left out."""

import ast
from pathlib import Path

import pytest

from loomlab.corpus.python_stdlib import PythonStdlib
from loomlab.tokenizer.byte import Byte


@pytest.fixture
def make(tmp_path):
    def build(**settings):
        run_time = {"sequence_length": 64, "batch_size": 8, "seed": 1, "cache_dir": tmp_path}
        return PythonStdlib(**settings, tokenizer=Byte(), **run_time)

    return build


def test_documents_are_source_files(make):
    corpus = make(max_bytes=1_500_000)
    train, validation = (list(corpus.documents(s)) for s in ("train", "validation"))
    assert 0 < sum(len(text.encode()) for text in train + validation) <= 1_500_000
    assert validation
    assert not set(train) & set(validation)
    assert all(ast.parse(text) is not None for text in train)
    assert list(make(max_bytes=1_500_000).documents("train")) == train


def test_files_leave_out_tests_and_packages(make):
    files = make().files()
    assert {"argparse.py", "dataclasses.py"} <= {file.name for file in files}
    parts = {part for file in files for part in Path(file).parts[-3:]}
    assert not parts & {"test", "tests", "site-packages", "__pycache__"}
    assert [file.name for file in files] != sorted(file.name for file in files)


def test_fingerprint_follows_the_cap(make):
    assert make().fingerprint() == make().fingerprint()
    assert make(max_bytes=1000).fingerprint() != make().fingerprint()
