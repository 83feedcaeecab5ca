"""Names of runs, and the moment their paths agree on."""

from pathlib import Path

import pytest

from loomlab.catalog.resolvers import process_start
from loomlab.compose.composer import compose_job, composing


@pytest.mark.parametrize(
    ("overrides", "end"),
    [([], "-gpt-clm"), (["model=bert", "objective=mlm"], "-bert-mlm"), (["name=mine"], "-mine")],
)
def test_run_folder_is_named_after_the_run(overrides: list[str], end: str):
    with composing():
        folder = Path(compose_job(overrides).paths.output_dir)
    assert folder.name.endswith(end)
    assert folder.parts[0] == "outputs"


def test_all_paths_of_a_process_share_one_moment():
    with composing():
        folders = {compose_job([]).paths.output_dir for _ in range(2)}
    assert len(folders) == 1
    assert process_start() is process_start()
