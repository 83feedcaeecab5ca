"""experiments/own_option does what its README says."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tests import warm

from loomlab.compose.gate import check
from loomlab.entry import options
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.sweep.plan import plan

FOLDER = Path(__file__).parents[2] / "experiments" / "own_option"
SMALL = [
    "model.layers=1",
    "model.width=16",
    "model.heads=2",
    "budget.steps=8",
    "optimizer.lr=0.01",
]


@pytest.fixture(autouse=True)
def _path_as_before() -> Iterator[None]:
    """The folder comes onto Python's path by the way of loom alone, and is taken off again."""
    before = list(sys.path)
    assert str(FOLDER) not in before
    yield
    sys.path[:] = before
    sys.modules.pop("focal", None)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the folder of the option."""
    monkeypatch.chdir(FOLDER)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work elsewhere, with LOOM_CONF naming the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOM_CONF", str(FOLDER / "conf"))


def held_out(folder: RunFolder) -> list[float]:
    return [row["val/loss"] for row in read_metrics(folder.metrics) if "val/loss" in row]


@pytest.mark.usefixtures("here")
def test_from_its_folder_it_is_listed_with_its_setting(capsys: pytest.CaptureFixture[str]):
    assert options.run(["objective"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("focal ") and "easy count less" in line for line in lines)
    assert "objective.gamma = 2.0" in lines


@pytest.mark.usefixtures("here")
def test_what_the_readme_sweeps_is_valid():
    sweep = ["objective=focal", "objective.gamma=0,1,2", "model=gpt_tiny", "budget.steps=50"]
    assert " ".join(sweep) in (FOLDER / "README.md").read_text(encoding="utf-8")
    checked = plan(sweep).checked
    assert not checked.problems, checked.message()
    assert [config.objective.gamma for config in checked.configs.values()] == [0, 1, 2]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("objective.gama=1", "did you mean gamma?"),
        ("objective.gamma=-1", "objective.gamma"),
        ("objective.gamma=much", "objective.gamma"),
        ("model=bert", "objective=focal"),
    ],
)
def test_wrong_settings_are_refused(override: str, words: str):
    checked = check(["objective=focal", override])
    assert checked.problems
    assert words in checked.message()


@pytest.mark.usefixtures("named")
def test_gamma_of_zero_is_clm(train: Callable[..., RunFolder]):
    clm = train(*SMALL, "objective=clm", folder="clm")
    zero = train(*SMALL, "objective=focal", "objective.gamma=0", folder="zero")
    two = train(*SMALL, "objective=focal", folder="two")
    assert zero.summary()["choice"]["objective"] == "focal"
    assert held_out(zero) == pytest.approx(held_out(clm), rel=1e-7)
    assert held_out(two)[-1] != pytest.approx(held_out(clm)[-1], rel=1e-6), "gamma counts"
    weights = [load_file(f.model / "model.safetensors") for f in (clm, zero)]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("named")
def test_the_loss_is_that_of_the_paper(train: Callable[..., RunFolder]):
    train(*SMALL, "objective=focal", "budget.steps=1")
    kind = sys.modules["focal"].FocalLM
    logits, targets = torch.randn(5, 7), torch.tensor([0, 3, 6, 2, 2])
    p = logits.softmax(-1)[torch.arange(5), targets]
    for gamma in (0.0, 0.5, 2.0):
        objective = kind.__new__(kind)
        object.__setattr__(objective, "gamma", gamma)
        expected = (-((1 - p) ** gamma) * p.log()).mean()
        torch.testing.assert_close(kind.loss(objective, logits, targets), expected)
    objective = kind.__new__(kind)
    object.__setattr__(objective, "gamma", 0.0)
    torch.testing.assert_close(
        kind.loss(objective, logits, targets), F.cross_entropy(logits, targets)
    )


def test_from_elsewhere_as_a_user_types_it(
    tiny: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A copy somewhere else trains by --config-dir, and its run is scored without it."""
    from loomlab.entry import evaluate

    shutil.copytree(FOLDER, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "elsewhere").mkdir()
    command = ["train", "--config-dir", str(tmp_path / "copy" / "conf")]
    given = tiny(*SMALL, "objective=focal", "budget.steps=1")
    done = warm.run([*command, *given], tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    folder = RunFolder(tmp_path / "run")
    assert folder.summary()["choice"]["objective"] == "focal"
    assert evaluate.run([str(folder.path), "--batches", "2"]) == 0
    bits = f"{folder.summary()['best']['val/bits_per_byte']:.4f}"
    assert bits in capsys.readouterr().out
