"""A study: a folder of experiments/ with its sweeps, its README and the script that draws it."""

from __future__ import annotations

import importlib.util
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import FrameType, ModuleType

import yaml

from loomlab.errors import InputError, did_you_mean
from loomlab.quoting import given, override
from loomlab.report.ranking import Row, finished_rows
from loomlab.run.alone import require_alone
from loomlab.run.ledger import ENDED, Ledger, is_sweep

DEFINITION = "study.yaml"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EARLIER = re.compile(r"\{(\w+)(?:\*([^}]+))?\}")  # in a sweep's line: a run of an earlier sweep


@dataclass(frozen=True)
class Study:
    """The definition of a study, as read from its folder."""

    folder: Path
    sweeps: dict[str, str]
    smoke: str
    common: str = ""

    def commands(self, smoke: bool, extra: list[str]) -> dict[str, list[str]]:
        """What is given to each sweep's `loom train -m`.

        If the first word is `compress`, to `loom compress -m`. `{NAME}` is the one run of an
        earlier sweep, `{NAME*OPTION}` its run with that word in its name.
        """
        more = [*shlex.split(self.common), *(shlex.split(self.smoke) if smoke else []), *extra]
        return {name: [*shlex.split(line), *more] for name, line in self.sweeps.items()}

    def script(self) -> ModuleType:
        """The study's draw.py."""
        path = self.folder / "draw.py"
        spec = importlib.util.spec_from_file_location(f"study_{self.folder.name}", path)
        assert spec is not None, path
        assert spec.loader is not None, path
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def study_folders() -> list[Path]:
    """Where studies are looked for: ./experiments, then the package's own."""
    package = Path(__file__).parents[1]
    candidates = [Path("experiments"), package / "experiments", package.parents[1] / "experiments"]
    return [c for c in candidates if c.is_dir()]


def find_study(name: str) -> Study:
    """The study of that name.

    Raises:
        InputError: there is none.
    """
    known: dict[str, Path] = {}
    for folder in study_folders():
        for path in sorted(folder.glob(f"*/{DEFINITION}")):
            known.setdefault(path.parent.name, path.parent)
    if name not in known:
        raise InputError(f"there is no study '{name}'; {did_you_mean(name, known, 'studies')}")
    content = yaml.safe_load((known[name] / DEFINITION).read_text(encoding="utf-8"))
    return Study(
        known[name], content["sweeps"], content.get("smoke", ""), content.get("common", "")
    )


def run_sweeps(commands: dict[str, list[str]], output: Path, fresh: bool) -> int:
    """Run what is left of every sweep; the number of sweeps of which a job failed.

    Raises:
        InputError: another process runs one of them now, or a run it starts from is not there.
    """
    failed = 0
    for name, words in commands.items():
        folder = output / name
        require_alone(folder)
        command = filled(words, output)
        overrides = command[command.index("-m") + 1 :]
        if fresh and folder.exists():
            aside = _aside(folder)
            folder.rename(aside)
            print(f"{name}: what was there is kept in {aside}", flush=True)
        elif _done(folder, overrides):
            print(f"{name}: already done in {folder} (--fresh runs it again)", flush=True)
            continue
        print(f"$ {shlex.join(['loom', *command])}", flush=True)
        command = [sys.executable, "-m", "loomlab", *command, override("paths.sweep_dir", folder)]
        code = run_to_its_end(command)
        if code == 2 and is_sweep(folder):
            print(f"to run sweep {name} anew give --fresh, or another --output", file=sys.stderr)
        if code in (2, 130, 143):
            raise SystemExit(code)
        failed += code != 0
    return failed


def run_to_its_end(command: list[str]) -> int:
    """Run a command, which hears of every signal that is to end this process; its exit code.

    It has a process group of its own: Ctrl-C of a terminal would reach it twice, which says that
    its jobs are not even to be saved.
    """
    process = subprocess.Popen(command, process_group=0)

    def pass_on(signum: int, frame: FrameType | None) -> None:
        process.send_signal(signum)

    before = {number: signal.signal(number, pass_on) for number in SIGNALS}
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def filled(words: list[str], output: Path) -> list[str]:
    """Verb, flags and overrides of a sweep, with the folders of the runs it starts from.

    Raises:
        InputError: there is no such run, or there are several.
    """
    words = [_filled(word, output) for word in words]
    if words[:1] == ["compress"]:
        return ["compress", words[1], "-m", *words[2:]]
    return ["train", "-m", *words]


def _filled(word: str, output: Path) -> str:
    """A word of a command; an override that is nothing but a folder is quoted as that needs."""
    key, sign, value = word.partition("=")
    if sign and (found := EARLIER.fullmatch(value)):
        return given(key, _earlier(output, found))
    return EARLIER.sub(lambda found: str(_earlier(output, found)), word)


def _earlier(output: Path, found: re.Match[str]) -> Path:
    name, word = found[1], found[2] or ""
    runs = [row.folder.path for row in finished_rows([output / name])]
    fitting = [path for path in runs if word in path.name]
    if len(fitting) != 1:
        raise InputError(
            f"{found[0]}: {len(fitting)} finished runs of that name are in {output / name}, of "
            "which one was to be taken: run the study again from there with --fresh"
        )
    return fitting[0].resolve()


def _done(folder: Path, overrides: list[str]) -> bool:
    """Whether the same command was given and nothing of it is left to run."""
    if not is_sweep(folder):
        return False
    ledger = Ledger(folder)
    given = [o for o in ledger.definition()["arguments"] if not o.startswith("paths.sweep_dir=")]
    return given == overrides and all(job.state in ENDED for job in ledger.jobs())


def _aside(folder: Path) -> Path:
    return next(p for i in count(1) if not (p := folder.with_name(f"{folder.name}.{i}")).exists())


def study_rows(study: Study, output: Path) -> list[Row]:
    """The finished runs of a study, ranked.

    Raises:
        InputError: there are none.
    """
    rows = finished_rows([output / name for name in study.sweeps])
    if not rows:
        raise InputError(
            f"no finished run of study {study.folder.name} is in {output}: run "
            f"`loom study {study.folder.name}` first"
        )
    return rows
