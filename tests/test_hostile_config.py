"""Configs of somebody who means harm: nothing of theirs is run."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.marks import fast_slow_soak

from loomlab.compose.gate import check
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


def calls(mark: Path, bomb: Path) -> dict[str, dict]:
    """Targets with settings that would do harm, as a config can write them."""
    command = f"mkdir {mark}"
    return {
        "torch.load": {"f": str(bomb), "weights_only": False},
        "torch.serialization.load": {"f": str(bomb), "weights_only": False},
        "numpy.load": {"file": str(bomb), "allow_pickle": True},
        "pandas.read_pickle": {"filepath_or_buffer": str(bomb)},
        "joblib.load": {"filename": str(bomb)},
        "setuptools._distutils.spawn.spawn": {"cmd": ["mkdir", str(mark)]},
        "sympy.sympify": {"a": f"__import__('os').mkdir('{mark}')"},
        "shutil.copyfile": {"src": str(bomb), "dst": str(mark)},
        "builtins.open": {"file": str(mark), "mode": "w"},
        "pathlib.Path.write_text": {"_args_": [str(mark), "x"]},
        "os.makedirs": {"name": str(mark)},
        "os.getenv": {"key": "HOME"},
        "os.environ.get": {"_args_": ["HOME"]},
        "urllib.request.urlopen": {"url": f"file://{bomb}"},
        "os.system": {"command": command},
        "posix.system": {"command": command},
        "os.popen": {"cmd": command},
        "subprocess.run": {"args": command, "shell": True},
        "subprocess.Popen": {"args": command, "shell": True},
        "subprocess.check_output": {"args": command, "shell": True},
        "builtins.eval": {"_args_": [f"__import__('os').mkdir('{mark}')"]},
        "builtins.exec": {"_args_": [f"__import__('os').mkdir('{mark}')"]},
        "pickle.loads": {"data": "x"},
        "pickle.load": {"_args_": ["x"]},
        "operator.methodcaller": {"_args_": ["mkdir"]},
        "functools.partial": {"_args_": ["x"]},
        "runpy.run_path": {"path_name": str(bomb)},
        "importlib.import_module": {"name": "antigravity"},
        "loomlab.run.folder.os.system": {"command": command},
        "loomlab.run.folder.os.mkdir": {"path": str(mark)},
        "loomlab.run.folder.write_atomically": {"path": str(mark), "text": "x"},
        "loomlab.text.package.subprocess.run": {"args": command, "shell": True},
        "loomlab.text.package.shutil.copyfile": {"src": str(bomb), "dst": str(mark)},
        "loomlab.allow.importlib": {},
        "loomlab.model.gpt.GPTConfig.from_pretrained": {"x": 1},
        "torch.optim.optimizer.torch.load": {"f": str(bomb), "weights_only": False},
        "torch.nn.modules.module.torch.save": {"obj": 1, "f": str(mark)},
        "transformers.AutoModel.from_pretrained": {"x": str(bomb.parent)},
        "hydra.utils.call": {"config": {"_target_": "os.mkdir", "path": str(mark)}},
    }


NAMES = sorted(calls(Path("x"), Path("y")))


@pytest.fixture
def bomb(tmp_path: Path, mark: Path) -> Path:
    """A pickle that does harm when it is loaded."""
    path = tmp_path / "bomb.pkl"
    path.write_bytes(pickle.dumps(Bomb(mark)))
    return path


@pytest.fixture
def refuses(ended: Ended, tiny: Callable, tmp_path: Path, mark: Path) -> Callable[..., str]:
    """Assert that callbacks with settings that do harm are refused; what is said."""

    def check(nodes: dict[str, dict]) -> str:
        (tmp_path / "conf" / "experiment").mkdir(parents=True)
        content = "# @package _global_\n" + yaml.safe_dump({"callbacks": nodes})
        (tmp_path / "conf" / "experiment" / "evil.yaml").write_text(content)
        code, said = ended(
            "train", "--config-dir", tmp_path / "conf", *tiny(*SMALL, "experiment=evil")
        )
        assert code == 2, said
        assert "Traceback" not in said
        assert not mark.exists()
        assert not (tmp_path / "run").exists()
        return said

    return check


def test_targets_in_the_place_of_options(mark: Path, bomb: Path, refuses: Callable[..., str]):
    """As callbacks of their own, whole, with all the settings they take; each one is named."""
    nodes = [{"_target_": t, **settings} for t, settings in calls(mark, bomb).items()]
    said = refuses({f"evil{number}": node for number, node in enumerate(nodes)})
    for number, node in enumerate(nodes):
        assert f"callbacks.evil{number}._target_: " in said, node


@pytest.mark.parametrize(
    "target", fast_slow_soak(NAMES, ["torch.load", "loomlab.run.folder.os.mkdir"])
)
def test_a_target_alone(target: str, mark: Path, bomb: Path, refuses: Callable[..., str]):
    said = refuses({"evil": {"_target_": target, **calls(mark, bomb)[target]}})
    assert "callbacks.evil" in said


NESTED = [
    "+model.x._target_=os.mkdir",
    "+callbacks.evil={_target_: os.mkdir, path: MARK}",
    "+callbacks.evil.inner.deep=[{_target_: os.mkdir, path: MARK}]",
    "+x={_target_: os.mkdir, path: MARK}",
    "+x='${oc.create:\"{_target_: os.mkdir, path: MARK}\"}'",
    "+callbacks.evil='${oc.decode:\"{_target_: os.mkdir, path: MARK}\"}'",
    "+callbacks.evil={_target_: '${oc.decode:os.mkdir}', path: MARK}",
    "model._target_=os.mkdir",
    "++model._args_=[MARK]",
    "++model._partial_=false",
    "++model._recursive_=false",
    "++optimizer._convert_=object",
    "+hydra.callbacks.evil={_target_: os.mkdir, path: MARK}",
    "hydra.launcher._target_=os.mkdir",
    "hydra.sweeper._target_=loomlab.run.folder.os.mkdir",
    "+hydra.callbacks.evil='${oc.decode:\"{_target_: os.mkdir, path: MARK}\"}'",
    "+hydra.job_logging.handlers.evil={'()': os.mkdir, path: MARK}",
    "+hydra.job_logging.handlers.evil={class: os.mkdir, path: MARK}",
]


@pytest.mark.parametrize("override", NESTED)
def test_a_target_anywhere_on_the_command_line(
    override: str, mark: Path, ended: Ended, tiny: Callable, tmp_path: Path
):
    code, said = ended("train", *tiny(*SMALL, override.replace("MARK", str(mark))))
    assert code == 2, said
    assert "Traceback" not in said
    assert not mark.exists()
    assert not (tmp_path / "run").exists()


def test_a_nested_target_of_a_model_configuration(mark: Path, ended: Ended, tiny: Callable):
    node = f"{{n_layer: 1, extra: {{_target_: os.mkdir, path: '{mark}'}}}}"
    code, said = ended(
        "train", *tiny("model=hf", "model.architecture_type=gpt2", f"++model.config={node}")
    )
    assert code == 2
    assert "model.config.extra._target_: os.mkdir is outside loomlab" in said
    assert not mark.exists()


@pytest.mark.parametrize("written", [False, True], ids=["typed", "in a config"])
def test_a_target_of_one_job_of_a_sweep(
    written: bool, mark: Path, ended: Ended, tiny: Callable, tmp_path: Path
):
    choices = "torch.optim.AdamW,os.mkdir"
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    swept = {"mode": "MULTIRUN", "sweeper": {"params": {"optimizer._target_": choices}}}
    content = "# @package _global_\n" + yaml.safe_dump({"hydra": swept})
    (folder / "evil.yaml").write_text(content)
    given = ["experiment=evil"] if written else ["-m", f"optimizer._target_={choices}"]
    base = [o for o in tiny(*SMALL) if not o.startswith("paths.output_dir")]
    base += [f"paths.sweep_dir={tmp_path / 'swept'}", f"+optimizer.path={mark}"]
    code, said = ended("train", "--config-dir", tmp_path / "conf", *base, *given)
    assert code == 2, said
    assert "optimizer._target_: os.mkdir is outside loomlab" in said
    assert not mark.exists()
    assert not (tmp_path / "swept").exists()


def test_a_misspelled_target_gets_a_suggestion():
    checked = check(["optimizer._target_=loomlab.optimiser.adamw.AdamW"])
    assert "did you mean loomlab.optimizer.adamw.AdamW?" in checked.message()


def test_library_classes_on_the_list_train(train: Callable[..., RunFolder]):
    node = "{_target_: pytorch_lightning.callbacks.ModelSummary, max_depth: 1}"
    folder = train(*SMALL, f"+callbacks.summary={node}")
    assert folder.summary()["status"] == "finished"
