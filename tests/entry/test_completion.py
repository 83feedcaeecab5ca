"""Shell completion: the script is sourced by a real shell and asked as the TAB key asks it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loomlab.entry.cli import VERBS
from loomlab.entry.completion import SCRIPTS, run

QUERY = """
eval "$(loom completion bash)"
COMP_LINE={line!r}
COMP_POINT=${{#COMP_LINE}}
COMP_WORDS=( $COMP_LINE )
[[ "$COMP_LINE" == *" " ]] && COMP_WORDS+=( "" )
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
compopt() {{ :; }}
_loom
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def tab(line: str, folder: Path) -> list[str]:
    """What bash would offer at the end of a line."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    loom = bin_folder / "loom"
    loom.write_text(f'#!/bin/sh\nexec {sys.executable} -m loomlab "$@"\n')
    loom.chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", QUERY.format(line=line)],
        capture_output=True, text=True, cwd=folder, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("loom tr", {"train"}),
        ("loom ", set(VERBS)),
        ("loom options opt", {"optimizer"}),
        ("loom train optimizer=a", {"optimizer=adamw", "optimizer=adafactor"}),
        ("loom train model=gpt_s", {"model=gpt_small"}),
        ("loom validate seed=1 scheduler=c", {"scheduler=constant", "scheduler=cosine"}),
        ("loom train optimizer.l", {"optimizer.lr="}),
    ],
)
def test_bash_offers(line: str, offered: set[str], tmp_path: Path):
    assert set(tab(line, tmp_path)) == offered


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_scripts_are_valid_in_their_shell(shell: str, capsys: pytest.CaptureFixture[str]):
    assert run([shell]) == 0
    script = capsys.readouterr().out
    assert all(verb in script for verb in VERBS)
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
