"""Weights and Biases with the real client: offline files, and what arrives at a server."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.util import get_core_path

from loomlab.logger.base import Facts
from loomlab.logger.wandb import Wandb, finish, remove_recordless
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import Ledger
from loomlab.run.metrics_file import read_metrics

ONLINE = ["model.layers=1", "model.width=16", "model.heads=2", "logger=wandb"]
RUN = [*ONLINE, "logger.wandb.mode=offline"]


@pytest.fixture(autouse=True)
def _no_run_is_left_open():
    yield
    left = wandb.run
    finish(1)
    assert left is None


def run_files(folder: RunFolder) -> list[Path]:
    return sorted((folder.path / "wandb").glob("offline-run-*/run-*.wandb"))


def records(file: Path) -> list[dict]:
    """All records of a run, by what `wandb leet inspect` calls: its imports take a second."""
    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json",
               "--run-file", str(file), str(file.parents[1])]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def of_kind(found: list[dict], kind: str) -> list[dict]:
    return [record[kind] for record in found if record["type"] == kind]


def test_each_run_of_a_process_has_its_history_config_and_end_in_its_file(
    train: Callable[..., RunFolder],
):
    folders = [
        train(*RUN, "seed=3", "name=named", "logger.wandb.tags=[one,two]", folder="run3"),
        train(*RUN, "seed=4", folder="run4"),
    ]
    (first,), (second,) = map(run_files, folders)
    assert first.name != second.name
    for folder, file in zip(folders, (first, second), strict=True):
        assert file.is_relative_to(folder.path)
        found = records(file)
        (run,) = of_kind(found, "run")
        assert run["config"]["update"]["seed"] == folder.config().seed
        history = [record["item"] for record in of_kind(found, "history")]
        steps = [item["trainer/global_step"] for item in history]
        assert steps == [1, 1, 2, 2], "its own steps and no others"
        for row in read_metrics(folder.metrics):
            at_step = [item for item in history if item["trainer/global_step"] == row["step"]]
            sent = {key: value for item in at_step for key, value in item.items()}
            for key in ("train/loss", "train/lr", "val/bits_per_byte"):
                assert sent[key] == pytest.approx(row[key])
        assert [end["exit_code"] for end in of_kind(found, "exit")] == [0]
    (run,) = of_kind(records(first), "run")
    config = run["config"]["update"]
    assert config["seed"] == 3
    assert config["model"]["width"] == 16
    assert config["choice"]["optimizer"] == "adamw"
    assert config["choice.model"] == "gpt"
    assert run["display_name"] == "named"
    assert run["project"] == "loomlab"
    assert run["tags"] == ["one", "two", "gpt", "clm", "text", "byte", "adamw"]
    assert run["job_type"] == "train"
    assert "run_group" not in run, "it is no job of a sweep"


def test_a_folder_always_has_the_same_id(tmp_path: Path):
    """So that a resumed run goes on in the W&B run it began in."""
    ids = []
    for folder in ("one", "one", "two"):
        (tmp_path / folder).mkdir(exist_ok=True)
        option = Wandb(mode="disabled")
        logger = option.build(run_dir=tmp_path / folder, name="x", config={})
        ids.append(logger._id)
        finish(0)
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]
    assert all(len(i) == 12 and i.isalnum() for i in ids)


def test_a_failed_run_is_ended_as_failed(train: Callable[..., RunFolder], tmp_path: Path):
    (tmp_path / "run" / "metrics.csv").mkdir(parents=True)  # its first row cannot be written
    with pytest.raises(IsADirectoryError):
        train(*RUN)
    assert wandb.run is None
    (file,) = run_files(RunFolder(tmp_path / "run"))
    assert [end["exit_code"] for end in of_kind(records(file), "exit")] == [1]
    assert RunFolder(tmp_path / "run").summary()["status"] == "failed"


def test_disabled_writes_nothing(train: Callable[..., RunFolder]):
    folder = train(*RUN, "logger.wandb.mode=disabled")
    assert run_files(folder) == []
    assert folder.summary()["status"] == "finished"


def test_what_the_client_is_told_by_variables_holds(
    train: Callable[..., RunFolder], client: Callable[..., None], caplog: pytest.LogCaptureFixture
):
    """Offline with a key and no network: nothing is asked for, or waited for."""
    client(
        WANDB_MODE="offline", WANDB_API_KEY="a" * 40, WANDB_BASE_URL="http://127.0.0.1:9",
        WANDB_PROJECT="mine", WANDB_RUN_GROUP="ours", WANDB_TAGS="a,b", WANDB_NAME="called",
        WANDB_JOB_TYPE="pretrain",
    )  # fmt: skip
    (file,) = run_files(train(*ONLINE, "logger.wandb.tags=[b,c]"))
    assert [r for r in caplog.records if "W&B" in r.getMessage()] == []
    (run,) = of_kind(records(file), "run")
    assert (run["project"], run["run_group"], run["display_name"]) == ("mine", "ours", "called")
    assert run["job_type"] == "pretrain"
    assert run["tags"][:3] == ["b", "c", "a"]
    option = Wandb(project="own", group="own", job_type="own")
    given = option._start(file.parent, "run", {"name": "own"}, Facts(sweep="swept"))
    assert [given[k] for k in ("project", "group", "job_type", "name")] == ["own"] * 4


def test_a_variable_disables_it(train: Callable[..., RunFolder], client: Callable[..., None]):
    client(WANDB_MODE="disabled", WANDB_API_KEY="a" * 40)
    folder = train(*ONLINE)
    assert folder.summary()["status"] == "finished"
    assert not (folder.path / "wandb").exists()


def test_a_login_without_a_server_is_one_line_and_offline(
    train: Callable[..., RunFolder], client: Callable[..., None], caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
):  # fmt: skip
    client(WANDB_BASE_URL="http://127.0.0.1:9", PYTEST_CURRENT_TEST=None)
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1:9 login user password {'a' * 40}\n")
    assert len(run_files(train(*ONLINE))) == 1
    (line,) = [r.getMessage() for r in caplog.records if "W&B" in r.getMessage()]
    assert line.startswith("W&B: http://127.0.0.1:9 cannot be reached; the run is kept offline")


@pytest.fixture
def server(wandb_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The double, with the client of this process led to it."""
    for name, value in wandb_server.environment.items():
        monkeypatch.setenv(name, value)
    wandb.teardown()  # its settings are those of the moment it was first used
    yield wandb_server
    wandb.teardown()


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The numbers that arrived, as rows of metrics.csv."""
    rows: dict[int, dict[str, float]] = {}
    for line in history:
        step = line["trainer/global_step"]
        told = {k: v for k, v in line.items() if k[0] != "_" and isinstance(v, int | float)}
        rows.setdefault(step, {}).update(told | {"step": step})
        rows[step].pop("trainer/global_step", None)
    return [rows[step] for step in sorted(rows)]


def begins_with(run: Any, of: str) -> str:
    """The axis that the chart of a number begins with."""
    defined = run.configs[-1]["_wandb"]["value"]["m"]
    names = [metric.get("1") or metric.get("2") for metric in defined]
    chart = next(m for name, m in zip(names, defined, strict=True) if name == of)
    return str(names[chart["5"] - 1])


def test_what_arrives_are_the_rows_of_the_run(train: Callable[..., RunFolder], server: Any):
    folder = train(*ONLINE, "trainer.val_every_n_steps=1", "budget.steps=4", "seed=3")
    run = server.run()
    rows = read_metrics(folder.metrics)
    assert len(rows) == 4
    assert by_step(run.history) == rows, "tokens, flops and seconds of each step among them"
    begun = {key: value["value"] for key, value in run.configs[0].items()}
    assert begun["seed"] == 3
    assert begun["model"]["width"] == 16
    assert begun["choice.optimizer"] == "adamw"
    assert begun["choice.compression"] == "none"
    assert run.exit_codes == [0]
    assert run.fields["displayName"] == folder.path.name
    best = min(row["val/bits_per_byte"] for row in rows)
    assert run.summary["val/bits_per_byte"] == {"min": best}
    assert run.summary["val/accuracy"] == {"max": max(row["val/accuracy"] for row in rows)}
    said = folder.summary()
    assert run.summary["best/val/loss"] == said["best"]["val/loss"]
    assert run.summary["parameters"] == said["parameters"]
    assert begins_with(run, "val/loss") == "trainer/global_step"


def test_samples_pictures_and_histograms(train: Callable[..., RunFolder], server: Any):
    folder = train(
        *ONLINE, "sequence_length=32", "budget.steps=4", "trainer.val_every_n_steps=2",
        "probe=[samples,attention_maps]", "probe.samples.length=4",
        "callbacks=[gradient_norms]", "callbacks.gradient_norms.histograms_every_n_steps=2",
    )  # fmt: skip
    run = server.run()
    tables = [json.loads(content) for content in run.media("table").values()]
    assert sorted(len(table["data"]) for table in tables) == [9, 18], "it grows"
    (whole,) = (table["data"] for table in tables if len(table["data"]) == 18)
    lines = [json.loads(line) for line in (folder.path / "samples.jsonl").open()]
    assert whole == [list(line.values()) for line in lines]
    drawn = sorted(path.read_bytes() for path in (folder.path / "probe").glob("attention_*.png"))
    assert sorted(run.media("images").values()) == drawn
    bars = [line for line in run.history if "gradients/all" in line]
    assert [line["trainer/global_step"] for line in bars] == [2, 4]
    for line in bars:
        assert sum(line["gradients/all"]["values"]) == folder.summary()["parameters"]
        parts = [v for k, v in line.items() if k.startswith("gradients/") and k[-3:] != "all"]
        assert sum(sum(part["values"]) for part in parts) == folder.summary()["parameters"]


def test_a_failed_run_arrives_as_failed(
    train: Callable[..., RunFolder], server: Any, tmp_path: Path
):
    (tmp_path / "run" / "metrics.csv").mkdir(parents=True)  # its first row cannot be written
    with pytest.raises(IsADirectoryError):
        train(*ONLINE)
    assert server.run().exit_codes == [1]
    assert server.committed("model") == []


def test_a_job_of_a_sweep_is_in_its_group_and_charts_begin_as_wished(
    train: Callable[..., RunFolder], server: Any, tmp_path: Path
):
    Ledger(tmp_path / "sweep")
    folder = train(*ONLINE, "logger.wandb.x_axis=tokens", folder="sweep/000_lr-1")
    assert begins_with(server.run(), "val/loss") == "tokens"
    assert server.run().fields["groupName"] == "sweep"
    assert server.run().fields["displayName"] == "000_lr-1"
    assert folder.summary()["status"] == "finished"


def test_a_counted_model_is_a_run_too(train: Callable[..., RunFolder], server: Any):
    folder = train("model=ngram", "logger=wandb")
    (row,) = read_metrics(folder.metrics)
    assert by_step(server.run().history) == [row]
    assert server.run().config["choice.model"] == "ngram"


def test_a_debug_option_with_a_logger_sends_nothing(train: Callable[..., RunFolder], server: Any):
    train(*ONLINE, "debug=one_step")
    assert server.runs == {}


def test_parts_without_a_record_are_removed(tmp_path: Path):
    parts = [tmp_path / "wandb" / f"offline-run-2026010{i}_000000-abc" for i in (1, 2)]
    for part, content in zip(
        parts, (b":W&B\xba\x01\x00", b":W&B\xba\x01\x00a record"), strict=True
    ):
        part.mkdir(parents=True)
        (part / "run-abc.wandb").write_bytes(content)
    remove_recordless(tmp_path)
    assert [part.exists() for part in parts] == [False, True]
