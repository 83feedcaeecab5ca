"""Shared ground of the tests: a tiny experiment on real text, run in this process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `loom` does
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

DATA = Path(__file__).parent / "data"
TINY = [
    "corpus=text",
    f"corpus.path={DATA / 'alice.txt'}",
    "tokenizer=byte",
    "sequence_length=16",
    "global_batch_size=4",
    "budget.steps=2",
    "logger=none",
    "callbacks=[]",
    "trainer.limit_val_batches=2",
    "trainer.log_every_n_steps=1",
]
TINY_MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of tokenizers and token files for the whole test session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tiny(tmp_path: Path, cache_dir: Path) -> Callable[..., list[str]]:
    """Overrides of a tiny experiment in a folder of its own; more overrides win."""

    def overrides(*more: str, folder: str = "run") -> list[str]:
        paths = [f"paths.cache_dir={cache_dir}", f"paths.output_dir={tmp_path / folder}"]
        return [*TINY, *paths, *more]

    return overrides


@pytest.fixture
def train(tiny: Callable[..., list[str]]) -> Iterator[Callable[..., "object"]]:
    """Check, compose and run a tiny experiment in this process; gives its RunFolder."""
    from hydra.core.global_hydra import GlobalHydra

    def run(*more: str, folder: str = "run") -> object:
        from loomlab.compose.composer import compose_job, composing
        from loomlab.compose.gate import check
        from loomlab.run.folder import RunFolder
        from loomlab.run.session import execute, record_choice

        overrides = tiny(*more, folder=folder)
        checked = check(overrides, multirun=False)
        assert not checked.problems, checked.message()
        with composing():
            config = record_choice(compose_job(overrides))
        run_folder = RunFolder(config.paths.output_dir)
        run_folder.create(config, overrides)
        execute(config, run_folder)
        return run_folder

    yield run
    GlobalHydra.instance().clear()
