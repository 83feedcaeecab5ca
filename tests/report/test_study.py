"""Studies: found, read, and taken up from what is recorded."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tests.patience import wait_until

from loomlab.errors import InputError
from loomlab.report import study
from loomlab.report.study import filled, find_study, run_sweeps, study_rows
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import DONE, Job, Ledger

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
DEFINITION = """\
sweeps:
  first: model=gpt seed=1,2
  second: "model=hf model.architecture_type=gpt2 '+model.config={n_layer: 1}'"
smoke: budget.steps=1 logger=none
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """experiments/mine below the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "experiments" / "mine"
    path.mkdir(parents=True)
    (path / "study.yaml").write_text(DEFINITION)
    (path / "draw.py").write_text("def draw(rows, output, folder):\n    return len(rows)\n")
    return path


@pytest.mark.usefixtures("folder")
def test_a_study_is_found_and_read():
    study = find_study("mine")
    assert study.commands(smoke=False, extra=[]) == {
        "first": ["model=gpt", "seed=1,2"],
        "second": ["model=hf", "model.architecture_type=gpt2", "+model.config={n_layer: 1}"],
    }
    assert study.commands(smoke=True, extra=["seed=9"])["first"] == [
        "model=gpt", "seed=1,2", "budget.steps=1", "logger=none", "seed=9",
    ]  # fmt: skip
    assert study.script().draw([1, 2], None, None) == 2


@pytest.mark.usefixtures("folder")
def test_the_packages_own_studies_are_found_too():
    assert "ngram" in find_study("quickstart").sweeps


def test_an_own_study_goes_before_one_of_that_name(folder: Path):
    folder.rename(folder.with_name("quickstart"))
    assert list(find_study("quickstart").sweeps) == ["first", "second"]


@pytest.mark.usefixtures("folder")
def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="did you mean mine"):
        find_study("mien")


@pytest.mark.usefixtures("folder")
def test_rows_are_those_of_its_sweeps(train: Callable[..., RunFolder], tmp_path: Path):
    study = find_study("mine")
    with pytest.raises(InputError, match="run `loom study mine` first"):
        study_rows(study, tmp_path / "out")
    train(*SMALL, folder="out/first/0")
    train(*SMALL, folder="out/second/0")
    train(*SMALL, folder="out/elsewhere/0")
    rows = study_rows(study, tmp_path / "out")
    assert {row.folder.path.parent.name for row in rows} == {"first", "second"}


@pytest.mark.usefixtures("folder")
def test_a_sweep_that_is_done_is_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = find_study("mine")
    commands = study.commands(smoke=False, extra=[])
    for name, overrides in commands.items():
        ledger = Ledger(tmp_path / "out" / name)
        ledger.define({"arguments": [*overrides, "paths.sweep_dir=out"]})
        ledger.add([Job("key", 0, "000", [], {}, state=DONE)])
    assert run_sweeps(commands, tmp_path / "out", fresh=False) == 0
    printed = capsys.readouterr().out
    assert printed.count("already done") == 2
    assert "$ loom train" not in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_sweep_once_and_is_waited_for(number: signal.Signals, tmp_path: Path):
    here = tmp_path / "here"
    script = (
        "import pathlib, signal, sys, time\n"
        "heard = []\n"
        f"signal.signal({int(number)}, lambda *_: heard.append(1))\n"
        f"pathlib.Path({str(here)!r}).touch()\n"
        "while not heard: time.sleep(0.01)\n"
        "time.sleep(0.5)\n"  # as jobs take to be saved; a second signal would come by now
        "sys.exit(40 + len(heard))\n"
    )

    def interrupt() -> None:
        wait_until(here.exists)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    thread = threading.Thread(target=interrupt)
    thread.start()
    assert study.run_to_its_end([sys.executable, "-c", script]) == 41
    thread.join()
    assert signal.getsignal(number) == before


@pytest.mark.usefixtures("folder")
def test_a_sweep_that_another_process_runs_is_let_be(tmp_path: Path):
    commands = find_study("mine").commands(smoke=False, extra=[])
    Ledger(tmp_path / "out" / "first").define({"arguments": []})
    script = (
        "import sys, pathlib\nfrom loomlab.run.alone import alone_in\n"
        "with alone_in(pathlib.Path('out/first')):\n    print('in', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"in\n"
        for fresh in (True, False):
            with pytest.raises(InputError, match=f"being run by process {other.pid}"):
                run_sweeps(commands, Path("out"), fresh)
    assert [path.name for path in Path("out").iterdir()] == ["first"]


def test_folders_of_any_name_are_quoted(
    train: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    output = tmp_path / "it's mine, [c]"
    train(*SMALL, "budget.steps=1", folder="plain")
    shutil.copytree(tmp_path / "plain", output / "first" / "000")
    ran: list[list[str]] = []

    monkeypatch.setattr(study, "run_to_its_end", lambda command: ran.append(command) or 0)
    run_sweeps({"second": ["init={first}"]}, output, fresh=False)
    (command,) = ran
    read = [OverridesParser.create().parse_override(word).value() for word in command[-2:]]
    assert read == [str(output / "first" / "000"), str(output / "second")]


def test_a_sweep_may_start_from_a_run_of_an_earlier_one(
    train: Callable[..., RunFolder], tmp_path: Path
):
    run = train(*SMALL, "budget.steps=1", folder="first/000-gpt").path
    words = ["compress", "{first*gpt}", "compression=[gptq]"]
    assert filled(words, tmp_path) == ["compress", str(run), "-m", "compression=[gptq]"]
    assert filled(["init={first}"], tmp_path) == ["train", "-m", f"init={run}"]
    with pytest.raises(InputError, match=r"\{first\*bert\}: 0 finished runs"):
        filled(["init={first*bert}"], tmp_path)
