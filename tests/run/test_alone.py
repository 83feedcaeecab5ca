"""A folder that another process runs is refused, for as long as that process lives."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from loomlab.errors import InputError
from loomlab.run.alone import RUNNING, alone_in, require_alone
from loomlab.run.folder import CONFIG, RunFolder
from loomlab.run.moving_in import claim

HOLDER = """
import sys
from pathlib import Path
from loomlab.run.alone import alone_in
with alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process, which runs the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    yield process
    process.kill()
    process.communicate(timeout=PATIENCE)


def test_a_folder_that_is_being_run_is_refused(held: "subprocess.Popen[str]", tmp_path: Path):
    for entered in (alone_in, lambda folder: claim(folder, overwrite=True)):
        (tmp_path / CONFIG).touch()
        with pytest.raises(InputError, match=f"is being run by process {held.pid} on "):
            entered(tmp_path).__enter__()
    with pytest.raises(InputError, match="wait for its end or stop it"):
        require_alone(tmp_path)
    assert (tmp_path / CONFIG).is_file()
    held.kill()
    held.wait(PATIENCE)
    assert (tmp_path / RUNNING).is_file(), "it had no time to clear up"
    require_alone(tmp_path)
    with alone_in(tmp_path):
        pass
    assert not (tmp_path / RUNNING).exists()


def test_a_run_is_alone_in_its_folder(
    held: "subprocess.Popen[str]", tmp_path: Path, small: Callable[..., list[str]]
):
    from loomlab.compose.gate import check
    from loomlab.run.prepared import prepare_folder
    from loomlab.run.session import execute

    overrides = small(tmp_path)
    config = check(overrides).only()
    with pytest.raises(InputError, match="is being run by"):
        prepare_folder(config, overrides)
    assert not (tmp_path / CONFIG).exists()
    with pytest.raises(InputError, match="is being run by"):
        execute(config, RunFolder(tmp_path))
    assert RunFolder(tmp_path).summary() == {}
