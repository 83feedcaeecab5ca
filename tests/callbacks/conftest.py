"""Runs of a debug option that are left all the choices it makes."""

from collections.abc import Callable

import pytest

from loomlab.run.folder import RunFolder

DECIDED = ("callbacks=", "budget.", "logger=", "trainer.")


@pytest.fixture
def debug(tiny: Callable[..., list[str]]) -> Callable[..., RunFolder]:
    """Train a tiny experiment with nothing set that a debug option decides."""

    def run(option: str, *more: str) -> RunFolder:
        from loomlab.compose.composer import compose_job, composing
        from loomlab.compose.gate import check
        from loomlab.run.prepared import prepare_folder
        from loomlab.run.session import execute

        given = [o for o in tiny() if not o.startswith(DECIDED)] + [f"debug={option}", *more]
        checked = check(given)
        assert not checked.problems, checked.message()
        with composing():
            folder, config = prepare_folder(compose_job(given), given)
        execute(config, folder)
        return folder

    return run
