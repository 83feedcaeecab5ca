"""What a run depends on beside its config is recorded."""

import json
import os
import platform
import subprocess
from pathlib import Path

import pytest
import torch

from loomlab.run.environment import PACKAGES, describe_environment, git_state


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    who = {f"GIT_{role}_{what}": "t@t" for role in ("AUTHOR", "COMMITTER")
           for what in ("NAME", "EMAIL")}  # fmt: skip
    (tmp_path / "file.txt").write_text("one\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, env={**os.environ, **who})
    return tmp_path


def test_versions_and_machine_are_plain_values():
    found = describe_environment()
    assert json.loads(json.dumps(found)) == found
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["torch"] == torch.__version__
    assert set(found["versions"]) == {"python", *PACKAGES}
    assert found["machine"]["threads"] == torch.get_num_threads()
    assert found["machine"]["gpus"] == torch.cuda.device_count()
    assert found["machine"]["system"] == platform.platform()


def test_commit_and_changes(repository: Path):
    clean = git_state(repository)
    assert len(clean["commit"]) == 40
    assert clean["changed"] is False
    (repository / "file.txt").write_text("two\n")
    assert git_state(repository) == {"commit": clean["commit"], "changed": True}


def test_a_new_file_is_a_change(repository: Path):
    (repository / "another.txt").write_text("new\n")
    assert git_state(repository)["changed"] is True


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path):
    assert git_state(tmp_path) == {}


def test_without_git_there_is_no_commit(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(repository))
    assert git_state(repository) == {}
