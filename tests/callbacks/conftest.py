"""Runs of a debug option that are left all the choices it makes."""

from collections.abc import Callable

import pytest
from tests.once import kept_runs, train_once

from loomlab.run.folder import RunFolder

__all__ = ["kept_runs", "train_once"]

DECIDED = ("callbacks=", "budget.", "logger=", "trainer.")


@pytest.fixture
def debug(tiny: Callable[..., list[str]]) -> Callable[..., RunFolder]:
    """Train a tiny experiment with nothing set that a debug option decides."""

    def run(option: str, *more: str) -> RunFolder:
        from loomlab.compose.composer import compose_job, composing
        from loomlab.compose.gate import check
        from loomlab.run.session import execute, record_choice

        given = [o for o in tiny() if not o.startswith(DECIDED)] + [f"debug={option}", *more]
        checked = check(given)
        assert not checked.problems, checked.message()
        with composing():
            config = record_choice(compose_job(given))
        folder = RunFolder(config.paths.output_dir)
        folder.create(config, given)
        execute(config, folder)
        return folder

    return run
