"""loomlab used from Python: what `loom train` does, and what a notebook asks of a run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.patience import PATIENCE

import loomlab
from loomlab.errors import InputError
from loomlab.run.metrics_file import read_metrics

README = Path(__file__).parents[2] / "README.md"
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
Tiny = Callable[..., list[str]]


def test_a_notebook_trains_and_looks(tiny: Tiny, tmp_path: Path):
    run = loomlab.train(*tiny(*SMALL))
    assert run.path == tmp_path / "run"
    assert run.summary["status"] == "finished"
    assert repr(run) == f"Run('{tmp_path}/run', finished)"
    table = run.metrics()
    rows = read_metrics(run.folder.metrics)
    assert table.num_rows == len(rows) >= 2
    assert table["step"].to_pylist() == [row["step"] for row in rows]
    assert table["val/loss"].to_pylist() == [row.get("val/loss") for row in rows]
    assert "finished: val/loss" not in (tmp_path / "run" / "train.log").read_text()
    ids = torch.tensor([run.tokenizer()("Alice was")["input_ids"]])
    assert run.model()(ids).logits.shape[:2] == ids.shape
    again = loomlab.Run(tmp_path / "run")
    assert again.summary == run.summary
    assert again.config.choice.model == "gpt"


def test_the_readmes_lines(tiny: Tiny, monkeypatch: pytest.MonkeyPatch):
    """As they stand there, on a tiny text with a tiny model."""
    text = README.read_text(encoding="utf-8")
    lines = text.partition("## From Python")[2].partition("```python\n")[2].partition("```")[0]
    given = [o for o in tiny(*SMALL, "budget.tokens=null") if o != "tokenizer=byte"]
    real = loomlab.train
    monkeypatch.setattr(loomlab, "train", lambda *o: real(*o, *given))
    names: dict[str, Any] = {}
    exec(lines, names)
    assert names["run"].config.choice.model == "bert_tiny"
    assert names["same"].summary == names["run"].summary
    assert names["table"].num_rows
    assert names["tokenizer"].mask_token


def test_it_is_the_run_of_the_command_line(
    tiny: Tiny, train: Callable[..., object], same: Callable[..., None]
):
    run = loomlab.train(*tiny(*SMALL, folder="here"))
    same(train(*SMALL, folder="there"), run.folder)


def test_a_prepared_folder_is_run_elsewhere(tiny: Tiny, same: Callable[..., None], tmp_path: Path):
    ready = loomlab.prepare(*tiny(*SMALL, folder="ready"))
    assert ready.summary == {}
    assert repr(ready).endswith("not started)")
    command = [sys.executable, "-m", "loomlab.run", str(ready.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    for said in (done.stdout, (ready.path / "train.log").read_text()):
        assert f"everything is in {ready.path}" in said
    same(loomlab.train(*tiny(*SMALL, folder="here")).folder, ready.folder)


def test_what_is_finished_is_not_run_again(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from loomlab.run.__main__ import main

    ready = loomlab.prepare(*tiny(*SMALL))
    assert main([str(ready.path)]) == 0
    assert ready.summary["status"] == "finished"
    for given, says in [(ready.path, "this run is finished"), (tmp_path, "no run folder")]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(given)])
        assert end.value.code == 2
        assert says in capsys.readouterr().err
    assert main([]) == 2
    assert main(["--help"]) == 0


def test_a_prepared_folder_goes_on_from_its_last_state(tiny: Tiny, same: Callable[..., None]):
    from loomlab.run.prepared import run_prepared

    given = ["callbacks=[checkpoint]", *SMALL, "budget.steps=4", "scheduler=constant"]
    whole = loomlab.train(*tiny(*given, folder="whole"))
    ready = loomlab.prepare(*tiny(*given, folder="ready"))
    (ready.path / "checkpoints").mkdir(exist_ok=True)
    half = loomlab.train(*tiny(*given, "budget.steps=2", folder="half"))
    for path in (half.path / "checkpoints").iterdir():
        path.rename(ready.path / "checkpoints" / path.name)
    half.folder.metrics.rename(ready.folder.metrics)
    run_prepared(ready.folder)
    same(whole.folder, ready.folder)


def test_a_refusal_is_an_error_and_leaves_nothing(tiny: Tiny, tmp_path: Path):
    for wrong, says in [
        (["optimizer.lrr=1"], "did you mean lr"),
        (["--multirun"], "flags are for `loom train`"),
        (["corpus.path=/nowhere.txt"], "/nowhere.txt"),
    ]:
        with pytest.raises(InputError, match=says):
            loomlab.train(*tiny(*SMALL, *wrong, folder="new/run"))
        assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="no run folder"):
        loomlab.Run(tmp_path)
    with pytest.raises(InputError, match="is no override: give strings"):
        loomlab.train(tiny(*SMALL))  # type: ignore[arg-type]
    assert loomlab.InputError is InputError
    assert {"train", "prepare", "Run"} <= set(dir(loomlab))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        loomlab.trian  # noqa: B018


def test_a_damaged_summary_is_said_in_a_sentence(tiny: Tiny):
    run = loomlab.prepare(*tiny(*SMALL))
    for content in ("{", "[1]"):
        (run.path / "summary.json").write_text(content)
        assert repr(run).endswith("damaged)")
        for look in (lambda: run.summary, lambda: loomlab.Run(run.path)):
            with pytest.raises(InputError, match=r"summary\.json (is damaged|holds no summary)"):
                look()


def test_a_run_is_resumed_and_not_run_over(tiny: Tiny, tmp_path: Path):
    checkpoint = ["callbacks=[checkpoint]", *SMALL]
    run = loomlab.train(*tiny(*checkpoint))
    with pytest.raises(InputError, match="holds a run already"):
        loomlab.train(*tiny(*checkpoint))
    longer = loomlab.train(f"resume={run.path}", "budget.steps=4")
    assert longer.path == run.path
    assert longer.summary["steps"] == 4
    assert longer.metrics()["step"].to_pylist()[-1] == 4


def test_a_run_without_a_name_gets_a_folder_of_its_own(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    given = [o for o in tiny(*SMALL) if not o.startswith("paths.output_dir")]
    first, second = loomlab.prepare(*given), loomlab.prepare(*given)
    assert first.path.parent == second.path.parent
    assert first.path != second.path
    assert first.path.is_relative_to(tmp_path / "outputs")
