"""A run composed once is what `hydra.main` would have run: config, folder, logs and its end."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callbacks import LogJobReturnCallback
from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.search import package_conf
from loomlab.compose.composer import CONFIG_NAME, prepare
from loomlab.compose.gate import check
from loomlab.entry.hydra_run import run_in_folder, run_once
from loomlab.errors import InputError
from loomlab.run.folder import HYDRA, RunFolder
from loomlab.run.prepared import prepare_folder
from loomlab.sweep.folders import hydra_record

Seen = dict[str, Any]
VARIES = ("config_sources", "choices")  # named by who composed


def noted(config: DictConfig) -> Seen:
    context = OmegaConf.to_container(HydraConfig.instance().cfg.hydra)
    assert isinstance(context, dict)
    runtime: Any = context["runtime"]
    for name in VARIES:
        runtime.pop(name)
    return {
        "config": OmegaConf.to_container(config, resolve=True), "hydra": context,
        "variable": os.environ.get("TOLD"), "folder": Path.cwd(),
    }  # fmt: skip


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Seen, Seen]]:
    """What a task sees as `hydra.main` runs it, and as we do."""

    def run(*overrides: str) -> tuple[Seen, Seen]:
        argv = ["seed=5", f"paths.output_dir={tmp_path}/run", *overrides]
        found: list[Seen] = []

        def task(config: DictConfig) -> None:
            found.append(noted(config))

        monkeypatch.setattr("sys.argv", ["loom train", *argv])
        prepare(argv)
        hydra.main(config_path=str(package_conf()), config_name=CONFIG_NAME, version_base="1.3")(
            task
        )()
        run_once(argv, task)
        assert (tmp_path / "run").is_dir()
        return found[0], found[1]

    return run


@pytest.mark.parametrize(
    "overrides", [[], ["optimizer=sgd", "hydra.verbose=true", "+hydra.job.env_set.TOLD=yes"]]
)
def test_a_task_sees_what_it_saw(both: Callable[..., tuple[Seen, Seen]], overrides: list[str]):
    theirs, ours = both(*overrides)
    assert ours["config"] == theirs["config"]
    assert ours["variable"] == theirs["variable"] == ("yes" if overrides else None)
    assert ours["folder"] == theirs["folder"]
    theirs["hydra"]["job"].pop("name")  # the file that the task is in
    theirs["hydra"]["overrides"].pop("hydra")  # it notes that it was asked to run
    for node in ("job", "overrides", "runtime", "mode", "run", "sweep", "job_logging"):
        found, wanted = ours["hydra"][node], theirs["hydra"][node]
        if isinstance(wanted, dict):
            found = {key: found[key] for key in wanted}
        assert found == wanted, node


def test_what_fails_is_told_as_hydra_tells_it(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    def task(config: DictConfig) -> None:
        raise RuntimeError("spoken in tongues")

    with pytest.raises(SystemExit) as end:
        run_once([f"paths.output_dir={tmp_path}/run", "seed=5"], task)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "Error executing job with overrides: ['paths.output_dir=" in said
    assert "RuntimeError: spoken in tongues" in said


@pytest.fixture
def job(tiny: Callable[..., list[str]]) -> RunFolder:
    """The folder of a job of a sweep, prepared."""
    overrides = tiny("name=mine", folder="job")
    config = check(overrides).only()
    folder, _ = prepare_folder(config, overrides)
    (folder.path / HYDRA).write_text(hydra_record(config))
    return folder


def test_a_prepared_job_is_run_with_the_logs_and_callbacks_of_its_sweep(
    job: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    called: list[tuple[object, ...]] = []
    monkeypatch.setattr("loomlab.run.prepared.run_prepared", lambda *given: called.append(given))
    monkeypatch.setattr(LogJobReturnCallback, "on_job_end", lambda *_, **end: called.append(
        tuple(end["config"].hydra.overrides.task)[-1:]
    ))  # fmt: skip
    path = job.path / HYDRA
    node = OmegaConf.load(path)
    node.callbacks.told = {"_target_": "hydra.experimental.callbacks.LogJobReturnCallback"}
    OmegaConf.save(node, path)
    run_in_folder(job, {"name": "hush"})
    assert called == [(job, {"name": "hush"}), ("name=mine",)]
    assert (job.path / "train.log").is_file()


def test_what_hydra_may_not_build_is_not_built_for_a_job(job: RunFolder):
    path = job.path / HYDRA
    node = OmegaConf.load(path)
    node.callbacks.mine = {"_target_": "os.system", "command": f"touch {job.path}/harm"}
    OmegaConf.save(node, path)
    with pytest.raises(InputError, match=r"hydra.yaml cannot be obeyed:(.|\n)*os\.system"):
        run_in_folder(job, {})
    assert not (job.path / "harm").exists()
