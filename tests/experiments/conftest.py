"""What the tests of studies share: a study's jobs run in this process, on a small model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.entry.compress import compress_one
from loomlab.entry.compress_source import beginning_of
from loomlab.report.study import filled
from loomlab.run.folder import RunFolder
from loomlab.sweep.plan import plan

Perform = Callable[[dict[str, list[str]], Path], None]


@pytest.fixture
def perform(train: Callable[..., RunFolder], tmp_path: Path) -> Perform:
    """Run the sweeps of a study below a folder, one job after the other, in this process."""

    def run(commands: dict[str, list[str]], output: Path) -> None:
        for name, words in commands.items():
            verb, *given = filled(words, output)
            if verb == "compress":
                given = [*beginning_of(Path(given[0]), given[2:]), *given[2:]]
            made = plan([o for o in given if o != "-m"])
            assert not made.checked.problems, made.checked.message()
            for job in made.jobs:
                place = output / name / job.folder
                if verb == "compress":
                    compress_one([*job.overrides, f"paths.output_dir='{place}'"])
                else:
                    folder = place.relative_to(tmp_path)
                    train(*job.overrides, folder=str(folder))

    return run
