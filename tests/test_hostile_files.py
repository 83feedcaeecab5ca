"""Runs, models and checkpoints of somebody who means harm: nothing of theirs is run."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from loomlab.callbacks.store import CheckpointStore
from loomlab.run.folder import RunFolder

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
Ended = Callable[..., tuple[int, str]]


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What a payload would make."""
    return tmp_path / "harm"


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a copy of the run is kept."""
    return tmp_path_factory.mktemp("untouched") / "run"


@pytest.fixture
def run(train: Callable[..., RunFolder], untouched: Path, tmp_path: Path) -> RunFolder:
    """A finished run with a checkpoint, about to be tampered with; trained once."""
    if not untouched.exists():
        shutil.copytree(train(*SMALL, "callbacks=[checkpoint]").path, untouched)
        shutil.rmtree(tmp_path / "run")
    shutil.copytree(untouched, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@pytest.mark.parametrize("axis", ["objective", "model", "corpus", "tokenizer", "optimizer"])
def test_a_tampered_config_of_a_run(run: RunFolder, mark: Path, ended: Ended, axis: str):
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    config[axis] = {"_target_": "os.mkdir", "path": str(mark)}
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    for command in (["evaluate", run.path], ["generate", run.path, "--max-new-tokens", "2"]):
        code, said = ended(*command)
        built = ("objective", "model", "corpus", "optimizer")  # its tokenizer lies in the folder
        needs = axis in (built if command[0] == "evaluate" else built[:2])
        assert code == (2 if needs else 0), said
        assert "Traceback" not in said
    assert not mark.exists()


def test_other_verbs_on_a_tampered_run(run: RunFolder, mark: Path, ended: Ended):
    """Each option of it is a call, its text a tag of YAML that calls as well."""
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    call = {"_target_": "os.mkdir", "path": str(mark)}
    spoilt = {key: call if isinstance(node, dict) else node for key, node in config.items()}
    spoilt |= {key: config[key] for key in ("choice", "paths", "budget", "trainer")}
    (run.path / "config.yaml").write_text(yaml.safe_dump(spoilt))
    verbs = {
        "predict": [run.path, "text"], "fill": [run.path, "[MASK]"], "export": [run.path],
        "compare": [run.path],
    }  # fmt: skip
    for tag in ("", f"harm: !!python/object/apply:os.mkdir ['{mark}']\n"):
        with (run.path / "config.yaml").open("a") as file:
            file.write(tag)
        for verb, arguments in verbs.items():
            code, said = ended(verb, *arguments)
            assert code == (0 if verb == "compare" else 2), (verb, said)
            assert "Traceback" not in said
            assert not mark.exists()


def test_a_tampered_model_of_a_run(run: RunFolder, mark: Path, ended: Ended):
    path = run.model / "config.json"
    config = json.loads(path.read_text())
    for key in ("attention", "position"):
        path.write_text(json.dumps({**config, key: {"_target_": "os.mkdir", "path": str(mark)}}))
        code, said = ended("evaluate", run.path)
        assert code == 2
        assert "os.mkdir is outside loomlab" in said
    path.write_text(json.dumps({**config, "model_type": "x", "auto_map": {"AutoConfig": "e.E"}}))
    (run.model / "e.py").write_text(f"import os; os.mkdir('{mark}')")
    code, said = ended("evaluate", run.path)
    assert code == 2
    assert "Traceback" not in said
    assert not mark.exists()


def test_tampered_overrides_of_a_run(run: RunFolder, mark: Path, ended: Ended, tmp_path: Path):
    (tmp_path / "theirs" / "conf").mkdir(parents=True)
    (tmp_path / "theirs" / "evil_module.py").write_text(f"import os; os.mkdir('{mark}')")
    path = run.path / "overrides.json"
    before = json.loads(path.read_text())
    for line in (
        f"+callbacks.evil={{_target_: os.mkdir, path: {mark}}}",
        "+callbacks.evil._target_=evil_module.Evil",
    ):
        theirs = f"hydra.searchpath=[file://{tmp_path / 'theirs' / 'conf'}]"
        path.write_text(json.dumps([*before, line, theirs]))
        code, said = ended("train", f"resume={run.path}")
        assert code == 2, said
        assert "Traceback" not in said
    assert not mark.exists()


def test_modules_beside_a_folder_that_only_the_run_names(
    run: RunFolder, mark: Path, ended: Ended, tmp_path: Path
):
    (run.path / "conf").mkdir()
    (run.path / "evil_beside.py").write_text(f"import os; os.mkdir('{mark}')")
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    config["conf_dirs"] = [str(run.path / "conf")]
    config["objective"]["_target_"] = "evil_beside.Objective"
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    code, said = ended("evaluate", run.path)
    assert code == 2
    assert f"set LOOM_CONF={run.path / 'conf'}" in said
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["raw pickle", "torch file", "instantiator"])
def test_a_bomb_as_checkpoint(run: RunFolder, mark: Path, ended: Ended, kind: str):
    store = CheckpointStore(run.checkpoints)
    partial = store.partial("last.ckpt")
    if kind == "raw pickle":
        partial.write_bytes(pickle.dumps(Bomb(mark)))
    else:
        state = torch.load(run.checkpoints / "last.ckpt", weights_only=True)
        if kind == "torch file":
            state["callbacks"]["x"] = Bomb(mark)
        else:
            state |= {"hyper_parameters": {"_instantiator": "os.mkdir", "path": str(mark)}}
            state["state_dict"] = {"x": torch.zeros(1)}
        torch.save(state, partial)
    store.commit("last.ckpt", 99)
    files = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    code, said = ended("train", f"resume={run.path}", "budget.steps=4")
    assert code == 2, said
    assert said.count("\n") == 1
    assert "last.ckpt is" in said
    assert not mark.exists()
    assert {
        p: p.read_bytes() for p in run.path.rglob("*") if p.name != "train.log" and p.is_file()
    } == files


@pytest.mark.parametrize("content", ["raw pickle", "torch file"])
def test_a_bomb_as_model(
    run: RunFolder, mark: Path, ended: Ended, tiny: Callable, tmp_path: Path, content: str
):
    """In the place of a run's weights, as init=, and as a model folder of Transformers."""
    bomb = tmp_path / "pytorch_model.bin"
    if content == "raw pickle":
        bomb.write_bytes(pickle.dumps(Bomb(mark)))
    else:
        torch.save({"x": Bomb(mark)}, bomb)
    (run.model / "model.safetensors").unlink()
    shutil.copy(bomb, run.model)
    gpt2 = tmp_path / "gpt2"
    gpt2.mkdir()
    settings = {"model_type": "gpt2", "n_layer": 1, "n_embd": 16, "n_head": 2, "vocab_size": 300}
    (gpt2 / "config.json").write_text(json.dumps(settings))
    shutil.copy(bomb, gpt2)
    for arguments in (
        ["evaluate", run.path],
        ["train", *tiny(*SMALL, f"init={run.path}", folder="other")],
        ["train", *tiny(*SMALL, f"init={bomb}", folder="other")],
        ["train", *tiny("model=hf", f"model.name={gpt2}", folder="other")],
    ):
        code, said = ended(*arguments)
        assert code == 2, said
        assert "Traceback" not in said
        assert not mark.exists()
    assert not (tmp_path / "other").exists()
