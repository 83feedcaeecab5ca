"""Folders of jobs: whole before the job starts, whoever planned it, and left once it has begun."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from loomlab.compose.composer import composing
from loomlab.errors import InputError
from loomlab.run.folder import HYDRA, RunFolder
from loomlab.run.ledger import Job, Ledger
from loomlab.secrets import MASK
from loomlab.sweep.folders import Folders
from loomlab.sweep.plan import Plan
from loomlab.sweep.record import record, secrets_of

Made = tuple[Folders, list[Job]]


@pytest.fixture
def folders(planned: Callable[..., Plan], tmp_path: Path) -> Iterator[Callable[..., Made]]:
    """What prepares the jobs of a command line, and those jobs as the ledger has them."""
    with ExitStack() as held:

        def made(*overrides: str) -> Made:
            plan = planned(*overrides, f"paths.sweep_dir={tmp_path / 'swept'}")
            ledger = record(plan, [])
            found = Folders(ledger, [], plan.configs, secrets_of(plan))
            found.loader = held.enter_context(composing())
            return found, ledger.jobs()

        yield made


def at(ledger: Ledger, job: Job) -> RunFolder:
    return RunFolder(ledger.folder / job.folder)


def test_a_folder_is_the_same_whoever_planned_its_job(folders: Callable[..., Made]):
    ours, jobs = folders("model=gpt,gpt_tiny", "model.dropout=0.2")
    for job in jobs:
        ours.prepare(job)
    first = [(at(ours.ledger, job), at(ours.ledger, job).config()) for job in jobs]
    assert [config.choice.model for _, config in first] == ["gpt", "gpt_tiny"]
    for folder, config in first:
        assert config.paths.output_dir == str(folder.path)
        assert f"paths.output_dir='{folder.path}'" in folder.overrides()
        assert OmegaConf.load(folder.path / HYDRA).runtime.choices.model == config.choice.model
        (folder.path / "metrics.csv").write_text("of an attempt that saved nothing")
    ours.configs.clear()  # as for a later command whose own jobs are others
    for job, (folder, config) in zip(jobs, first, strict=True):
        ours.prepare(job)
        assert folder.config() == config
        assert not folder.metrics.exists()


def test_what_has_begun_is_left(folders: Callable[..., Made]):
    ours, (job, _) = folders("seed=1,2")
    ours.prepare(job)
    folder = at(ours.ledger, job)
    (folder.checkpoints / "last.ckpt").write_bytes(b"a state")
    kept = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    ours.prepare(job)
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == kept
    (folder.path / HYDRA).unlink()  # a sweep of an earlier version
    ours.prepare(job)
    assert set(folder.path.rglob("*")) == set(kept)
    assert (folder.checkpoints / "last.ckpt").read_bytes() == b"a state"


def test_secrets_are_in_no_record_and_asked_for(folders: Callable[..., Made]):
    ours, (job, _) = folders("seed=1,2")
    config = ours.configs[job.key]
    config.hydra.overrides.task = ["corpus.hf_token=hush-hush-1234"]
    job = dataclasses.replace(job, overrides=[f"corpus.hf_token={MASK}"])
    ours.prepare(job)
    texts = [p.read_text() for p in at(ours.ledger, job).path.rglob("*") if p.is_file()]
    assert len(texts) == 3
    assert not any("hush-hush" in text for text in texts)
    ours.configs.clear()
    with pytest.raises(InputError, match=r"corpus\.hf_token was kept out of the ledger"):
        ours.prepare(job)
    ours.secrets[job.key] = ["corpus.hf_token=hush-hush-1234"]
    with pytest.raises(InputError, match=r"corpus\.hf_token: .*no"):
        ours.prepare(job)  # composed with it, and refused: the corpus has no such setting


def test_a_secret_is_not_put_into_the_environment_by_a_file(folders: Callable[..., Made]):
    ours, (job, _) = folders("seed=1,2")
    config = ours.configs[job.key]
    OmegaConf.update(config, "hydra.job.env_set.API_TOKEN", "hush-hush-1234", force_add=True)
    with pytest.raises(InputError, match=r"env_set\.API_TOKEN is a secret: export API_TOKEN"):
        ours.prepare(job)


def test_a_job_that_is_refused_by_now_says_so(folders: Callable[..., Made]):
    ours, (job, _) = folders("seed=1,2")
    ours.configs.clear()
    with pytest.raises(InputError, match="did you mean lr"):
        ours.prepare(dataclasses.replace(job, overrides=["optimizer.lrr=1"]))
