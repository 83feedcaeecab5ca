"""The allow-list: what a config may name, by name and by what the name leads to."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from loomlab import allow
from loomlab.allow import authorize, complaint, remember, resolve, targets, trust_recorded
from loomlab.errors import InputError

ALLOWED = [
    *("torch.optim.AdamW", "torch.optim.lr_scheduler.CosineAnnealingLR", "torch.nn.GELU"),
    *("pytorch_lightning.callbacks.LearningRateMonitor", "pytorch_lightning.loggers.CSVLogger"),
    *("pytorch_lightning.strategies.DDPStrategy", "pytorch_lightning.profilers.SimpleProfiler"),
    *("transformers.GPT2Config", "transformers.GPT2LMHeadModel", "peft.LoraConfig"),
    *("loomlab.model.gpt.GPTConfig", "loomlab.attention.full.Full"),
    *("hydra._internal.core_plugins.basic_launcher.BasicLauncher",),
    *("hydra.experimental.callbacks.LogJobReturnCallback",),
]
# Hydra 1.3.8 runs or refuses these, some of them to the harm of who loads a config.
OTHERS = [
    *("torch.load", "torch.serialization.load", "torch.hub.load", "torch.jit.load"),
    *("numpy.load", "numpy.fromfile", "pandas.read_pickle", "joblib.load"),
    *("setuptools._distutils.spawn.spawn", "sympy.sympify", "shutil.copyfile", "shutil.rmtree"),
    *("builtins.open", "builtins.eval", "builtins.exec", "builtins.__import__", "eval"),
    *("pathlib.Path.write_text", "os.makedirs", "os.getenv", "os.environ.get", "os.system"),
    *("posix.system", "os.popen", "os.remove", "urllib.request.urlopen", "subprocess.run"),
    *("subprocess.Popen", "subprocess.check_output", "pickle.load", "pickle.loads"),
    *("operator.attrgetter", "functools.partial", "importlib.import_module", "runpy.run_path"),
    *("ctypes.CDLL", "code.interact", "pty.spawn", "webbrowser.open", "yaml.unsafe_load"),
]
# These have an allowed beginning, and lead elsewhere.
ALIASES = [
    *("loomlab.run.folder.os.system", "loomlab.allow.importlib", "loomlab.allow.Path.write_text"),
    *("loomlab.text.package.subprocess.run", "loomlab.text.package.fetch_package"),
    *("loomlab.run.folder.write_atomically", "loomlab.run.worker.main", "loomlab.errors"),
    *("loomlab.model.gpt.GPTConfig.from_pretrained", "loomlab.model.gpt.GPTConfig.__class__"),
    *("loomlab.model.gpt.GPTConfig.__init__.__globals__.get", "loomlab.allow.resolve"),
    *("torch.optim.optimizer.torch.load", "torch.nn.modules.module.torch.serialization.load"),
    *("torch.nn.functional.gelu", "transformers.pipeline", "transformers.Trainer"),
    *("transformers.AutoModel.from_pretrained", "peft.PeftModel.from_pretrained"),
    *("hydra.utils.instantiate", "hydra.utils.call", "hydra.core.utils.run_job"),
    *("pytorch_lightning.callbacks.callback.Callback.__subclasses__",),
]
OWN_MODULE = """
import os
from shutil import copyfile


class Own:
    pass


def make():
    pass
"""


@pytest.fixture(autouse=True)
def _nothing_else_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOM_ALLOW", raising=False)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A module of the user's beside a conf folder; returns that folder."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str) -> Path:
        (tmp_path / f"{name}.py").write_text(OWN_MODULE)
        (tmp_path / "conf").mkdir()
        return tmp_path / "conf"

    return write


@pytest.mark.parametrize("target", ALLOWED)
def test_allowed(target: str):
    assert complaint(target) == ""
    assert isinstance(resolve(target), type)


@pytest.mark.parametrize("target", OTHERS)
def test_anything_else_is_refused_by_name(target: str):
    assert complaint(target)
    with pytest.raises(InputError, match=r"LOOM_ALLOW=|full name of a class"):
        resolve(target)


@pytest.mark.parametrize("target", ALIASES)
def test_an_alias_is_refused_for_what_it_is(target: str):
    with pytest.raises(InputError, match=r"is really|none of the classes|cannot be imported"):
        resolve(target)


@pytest.mark.parametrize("target", [None, 3, "", "Full", [], {"a": 1}, torch.load])
def test_what_is_no_name_is_refused(target: object):
    with pytest.raises(InputError, match="full name of a class"):
        resolve(target)


def test_targets_are_found_at_any_depth():
    node = {"a": [{"_target_": "x.Y", "b": {"_target_": "p.Q"}}], "_target_": "m.N", "c": 1}
    assert dict(targets(node)) == {
        "_target_": "m.N",
        "a.0._target_": "x.Y",
        "a.0.b._target_": "p.Q",
    }
    with pytest.raises(InputError, match=r"a\.0\.b\._target_: os\.system"):
        authorize({"a": [{"b": {"_target_": "os.system"}}]})


def test_the_users_prefixes_hold_for_whole_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOOM_ALLOW", "fractions, json.dec")
    assert resolve("fractions.Fraction").__name__ == "Fraction"
    assert resolve("fractions.Fraction.from_float")
    assert complaint("json.decoder.JSONDecoder")
    with pytest.raises(InputError, match="is really"):
        resolve("fractions.sys.exit")


def test_modules_beside_a_chosen_folder(module: Callable[[str], Path]):
    conf = module("beside_chosen")
    assert complaint("beside_chosen.Own")
    allow.make_importable([conf])
    assert resolve("beside_chosen.Own").__name__ == "Own"
    assert resolve("beside_chosen.make")
    for other in ("beside_chosen.os.system", "beside_chosen.copyfile", "shutil.copyfile"):
        with pytest.raises(InputError, match=r"is really|LOOM_ALLOW"):
            resolve(other)


def test_a_folder_on_record_is_trusted_only_if_the_user_chose_it(
    module: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LOOM_CONF", raising=False)
    conf = str(module("beside_recorded"))
    trust_recorded([conf])
    assert complaint("beside_recorded.Own")
    remember([conf])
    record = tmp_path / "cache" / "conf_dirs.txt"
    assert record.stat().st_mode & 0o777 == 0o600
    record.chmod(0o666)
    trust_recorded([conf])
    assert complaint("beside_recorded.Own"), "anyone could have written it"
    record.chmod(0o600)
    trust_recorded([conf])
    assert complaint("beside_recorded.Own") == ""


def test_a_folder_named_by_the_environment_is_trusted(
    module: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LOOM_CACHE", str(tmp_path / "cache"))
    conf = str(module("beside_named"))
    monkeypatch.setenv("LOOM_CONF", os.pathsep.join(["/elsewhere", conf]))
    trust_recorded([conf])
    assert complaint("beside_named.Own") == ""
