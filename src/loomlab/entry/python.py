"""loomlab from Python, in a script or a notebook: `loomlab.train("model=bert", ...)`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loomlab.catalog.search import all_conf_dirs
from loomlab.entry.checked import checked_run, names_folder
from loomlab.errors import InputError
from loomlab.quoting import given
from loomlab.run.folder import RunFolder
from loomlab.run.moving_in import move_in
from loomlab.run.output import restored_when_refused, withdrawn_when_refused
from loomlab.run.record import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig


def prepare(*overrides: str) -> Run:
    """Check a run as `loom train` does and write its folder, to be run by any process.

    `python -m loomlab.run RUN_DIR` runs it. Without `paths.output_dir=` it gets a folder that no
    other run has.

    Raises:
        InputError: all that is wrong with it; nothing is left behind.
    """
    with _prepared(list(overrides)) as (folder, _):
        return Run(folder.path)


def train(*overrides: str) -> Run:
    """Train one run in this process, as `loom train` with these overrides does.

    Ctrl-C saves first; `train("resume=RUN_DIR")` goes on.

    Raises:
        InputError: it is refused; of a new run nothing is left behind.
        KeyboardInterrupt: it was asked to stop, and the state is saved.
    """
    from loomlab.run.run_log import logged
    from loomlab.run.session import execute
    from loomlab.run.shutdown import Stopped

    with _prepared(list(overrides)) as (folder, config):
        try:
            with logged(folder):
                execute(config, folder)
        except Stopped as stop:
            raise KeyboardInterrupt(f"{stop}; go on with {given('resume', folder.path)}") from stop
    return Run(folder.path)


@contextmanager
def _prepared(overrides: list[str]) -> Iterator[tuple[RunFolder, DictConfig]]:
    """The folder of a checked run, and its config; gone, or as it was, if the run is refused."""
    from loomlab.run.prepared import prepare_folder

    if wrong := [o for o in overrides if not isinstance(o, str)]:
        raise InputError(f"{wrong[0]!r} is no override: give strings, as in train(*overrides)")
    if flags := [o for o in overrides if o.startswith("-")]:
        raise InputError(f"{flags[0]}: flags are for `loom train`; give overrides alone here")
    overrides, config = checked_run(overrides, overrides)
    path = Path(str(config.hydra.run.dir))
    refused = restored_when_refused if config.resume else withdrawn_when_refused
    with refused(path):
        own = move_in(path, names_folder(overrides), config.overwrite)
        config.paths.output_dir = str(own)
        yield prepare_folder(config, overrides, all_conf_dirs()[1:])
