"""What an own group builds reaches whoever names it, once, and its runs are used from anywhere."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loomlab import allow
from loomlab.run.folder import RunFolder

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
OWN = """
from loomlab.corpus.text import Text
from loomlab.model.gpt import GPTConfig
from loomlab.optimizer.sgd import SGD
from loomlab.regularization.label_smoothing import LabelSmoothing
from loomlab.scheduler.constant import Constant

GIVEN = {}

class Pace:
    made = 0

    def __init__(self, speed: float = 2.0):
        Pace.made += 1
        self.speed = speed

def taking(base, name):
    class Paced(base):
        def __init__(self, *, pace, **shared):
            GIVEN[name] = pace
            super().__init__(**shared)
    return Paced

class PacedText(Text):
    def __init__(self, path: str = "", *, pace, **shared):
        GIVEN["corpus"] = pace
        super().__init__(path=path, **shared)

class PacedGPT(GPTConfig):
    def __init__(self, layers: int = 1, width: int = 16, heads: int = 2, *, pace=None, **shared):
        GIVEN["model"] = pace
        super().__init__(layers=layers, width=width, heads=heads, **shared)

class PacedSGD(SGD):
    def __init__(self, lr: float = 0.1, *, pace, model):
        GIVEN["optimizer"] = pace
        super().__init__(lr * pace.speed, model=model)

class PacedConstant(Constant):
    def __init__(self, warmup: int = 0, *, pace, **shared):
        GIVEN["scheduler"] = pace
        super().__init__(warmup=warmup, **shared)

class PacedSmoothing(LabelSmoothing):
    def __init__(self, rate: float = 0.1, *, pace):
        GIVEN["regularization"] = pace
        super().__init__(rate)
"""
CLASSES = {
    "corpus": "Text", "model": "GPT", "optimizer": "SGD", "scheduler": "Constant",
    "regularization": "Smoothing",
}  # fmt: skip


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An own conf folder, seen from an empty folder beside it."""
    folder = tmp_path / "own" / "conf"
    head = "defaults: [/schema/{axis}/{option}@_here_, _self_]\n_target_: striding.{name}\n"
    for axis, option, name in [
        ("pace", "quick", "Pace"),
        *((axis, "paced", f"Paced{n}") for axis, n in CLASSES.items()),
    ]:
        (folder / axis).mkdir(parents=True)
        text = head.format(axis=axis, option=option, name=name)
        package = "# @package regularization.paced\n" if axis == "regularization" else ""
        (folder / axis / f"{option}.yaml").write_text(package + text)
    (tmp_path / "own" / "striding.py").write_text(OWN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("LOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOOM_CONF", "")  # as it is set by --config-dir, it is put back
    yield folder
    sys.modules.pop("striding", None)


def test_each_axis_is_given_the_one_that_was_made(
    conf: Path, tiny: Callable[..., list[str]], ended: Callable[..., tuple[int, str]],
    tmp_path: Path,
):  # fmt: skip
    paced = [f"{axis}=paced" for axis in CLASSES if axis != "regularization"]
    given = ["+pace=quick", "regularization=[paced]", *paced, *SMALL, "pace.speed=3"]
    command = ("--config-dir", conf, *tiny(*given, "trainer.gradient_clip_val=null"))
    code, said = ended("train", *command)
    assert code == 0, said
    own = sys.modules.pop("striding")
    assert set(own.GIVEN) == set(CLASSES)
    assert {id(pace) for pace in own.GIVEN.values()} == {id(own.GIVEN["model"])}
    assert (own.Pace.made, own.GIVEN["model"].speed) == (1, 3.0)
    choice = RunFolder(tmp_path / "run").summary()["choice"]
    assert (choice["pace"], choice["model"]) == ("quick", "paced")
    assert choice["regularization"] == ["paced"]

    # The run is scored, continued and compared by one who is where no conf folder is.
    sys.path.remove(str(conf.parent))
    allow._chosen.clear()
    assert ended("evaluate", tmp_path / "run", "--batches", 1)[0] == 0
    assert sys.modules["striding"].GIVEN["corpus"].speed == 3.0
    written = ("--prompt", "A", "--max-new-tokens", 4)
    assert ended("generate", tmp_path / "run", *written)[0] == 0
    assert ended("compare", tmp_path / "run", "--export", "csv")[0] == 0
    code, said = ended("plan", *command, "--json")
    assert code == 0, said


def test_an_axis_without_the_group_is_told_of_it(
    conf: Path, ended: Callable[..., tuple[int, str]]
):
    code, said = ended("validate", "--config-dir", conf, "optimizer=paced")
    assert code == 2
    assert "optimizer=paced: needs an option of pace; add +pace=quick" in said
