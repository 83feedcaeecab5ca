"""A study: a folder of experiments/ with its sweeps, its README and the script that draws it."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import yaml

from loomlab.errors import InputError, did_you_mean
from loomlab.report.ranking import Row, finished_rows

DEFINITION = "study.yaml"
DONE = "command.txt"


@dataclass(frozen=True)
class Study:
    """The definition of a study, as read from its folder."""

    folder: Path
    sweeps: dict[str, str]
    smoke: str

    def commands(self, smoke: bool, extra: list[str]) -> dict[str, list[str]]:
        """Overrides of each sweep's `loom train -m`."""
        shrunk = shlex.split(self.smoke) if smoke else []
        return {name: [*shlex.split(line), *shrunk, *extra] for name, line in self.sweeps.items()}

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
    return Study(known[name], content["sweeps"], content.get("smoke", ""))


def run_sweeps(commands: dict[str, list[str]], output: Path, fresh: bool) -> int:
    """Run every sweep that is not done yet; the number of sweeps that failed."""
    failed = 0
    for name, overrides in commands.items():
        folder = output / name
        line = shlex.join(["loom", "train", "-m", *overrides])
        if not fresh and _done(folder, line):
            print(f"{name}: already done in {folder} (--fresh runs it again)", flush=True)
            continue
        print(f"$ {line}", flush=True)
        command = [sys.executable, "-m", "loomlab", "train", "-m", *overrides]
        code = subprocess.run([*command, f"paths.sweep_dir={folder}"]).returncode
        if code in (2, 130):
            raise SystemExit(code)
        if code == 0:
            (folder / DONE).write_text(line + "\n", encoding="utf-8")
        failed += code != 0
    return failed


def _done(folder: Path, line: str) -> bool:
    path = folder / DONE
    return path.is_file() and path.read_text(encoding="utf-8").strip() == line


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
