"""What two runs were set to differently."""

from pathlib import Path

from loomlab.report.difference import difference_sheet
from loomlab.report.row import Row, read_row
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import Job

ONE = """\
seed: 1
budget: {steps: 10, tokens: null}
optimizer: {_target_: a.AdamW, lr: 0.1, betas: [0.9, 0.95]}
callbacks: {checkpoint: {_target_: a.Checkpoint, keep_best: true}}
model: {_target_: a.GPT, hub_token: hf_secret_1, width: 16}
paths: {output_dir: one}
choice: {optimizer: adamw, model: gpt, callbacks: [checkpoint]}
"""
OTHER = """\
seed: 2
budget: {steps: 10, tokens: 64}
optimizer: {_target_: a.SGD, lr: 0.1, momentum: null}
callbacks: {checkpoint: {_target_: b.Checkpoint, keep_best: true}}
model: {_target_: a.GPT, hub_token: hf_secret_2, width: 16.0}
paths: {output_dir: other}
choice: {optimizer: sgd, model: gpt, callbacks: [checkpoint]}
"""


def row(folder: Path, config: str) -> Row:
    folder.mkdir()
    (folder / "config.yaml").write_text(config)
    return read_row(folder.name, RunFolder(folder), None)


def test_only_what_differs_and_no_secret(tmp_path: Path):
    sheet = difference_sheet(row(tmp_path / "one", ONE), row(tmp_path / "other", OTHER))
    assert sheet.headings == ["setting", "one", "other"]
    assert sheet.rows == [
        ["optimizer", "adamw", "sgd"],
        ["seed", "1", "2"],
        ["budget.tokens", "null", "64"],
        ["optimizer.betas", "[0.9, 0.95]", "-"],
        ["callbacks.checkpoint._target_", "a.Checkpoint", "b.Checkpoint"],
        ["optimizer.momentum", "-", "null"],
    ]
    assert sheet.title == "6 of 15 settings differ"


def test_a_run_with_itself_and_with_one_of_the_same_name(tmp_path: Path):
    one = row(tmp_path / "one", ONE)
    same = difference_sheet(one, one)
    assert (same.rows, same.title) == ([], "0 of 14 settings differ")
    assert same.headings == ["setting", str(one.folder.path), str(one.folder.path)]


def test_a_job_that_never_started_by_its_command_line(tmp_path: Path):
    job = Job("k", 3, "003_job", ["optimizer=sgd", "budget.steps=20", "seed=1"], {})
    waiting = read_row("003", RunFolder(tmp_path / "003_job"), job)
    sheet = difference_sheet(row(tmp_path / "a", ONE), waiting)
    assert sheet.rows == [["optimizer", "adamw", "sgd"], ["budget.steps", "10", "20"]]
    next_job = Job("l", 4, "004_job", [*job.overrides[:2], "seed=2"], {})
    sheet = difference_sheet(waiting, read_row("004", RunFolder(tmp_path / "004_job"), next_job))
    assert sheet.rows == [["seed", "1", "2"]]
