"""experiments/own_group does what its README says; groups that nothing takes are refused."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from loomlab.compose.gate import check
from loomlab.entry import options
from loomlab.entry.resume import refuse_changes
from loomlab.errors import InputError
from loomlab.report.settings import of_config
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.sweep.identity import job_key
from loomlab.sweep.plan import plan

FOLDER = Path(__file__).parents[2] / "experiments" / "own_group"
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


@pytest.fixture(autouse=True)
def _path_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in the folder; it comes onto Python's path by the way of loom alone."""
    before = list(sys.path)
    monkeypatch.chdir(FOLDER)
    yield
    sys.path[:] = before
    for name in ("lengths", "pacing", "paces", "haste", "called"):
        sys.modules.pop(name, None)


def contexts(folder: RunFolder) -> list[float]:
    return [r["train/context"] for r in read_metrics(folder.metrics) if "train/context" in r]


def losses(folder: RunFolder) -> list[float]:
    return [r["train/loss"] for r in read_metrics(folder.metrics) if "train/loss" in r]


def test_it_is_listed_like_an_axis(capsys: pytest.CaptureFixture[str]):
    assert options.run(["curriculum"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("curriculum (outcome)\n")
    lines = [line.strip() for line in said.splitlines()]
    assert any(line.startswith("linear ") and "grow evenly" in line for line in lines)
    assert "curriculum.start = 0.125" in lines
    assert options.run([]) == 0
    assert "\ncurriculum (outcome)\n" in capsys.readouterr().out


def test_what_the_readme_sweeps_is_valid():
    sweep = ["+curriculum=linear,doubling", "seed=1,2", "model=gpt_tiny", "budget.steps=50"]
    assert " ".join(sweep) in (FOLDER / "README.md").read_text(encoding="utf-8")
    made = plan(sweep)
    assert not made.checked.problems, made.checked.message()
    configs = list(made.checked.configs.values())
    targets = [config.curriculum["_target_"] for config in configs]
    assert targets == ["lengths.Linear"] * 2 + ["lengths.Doubling"] * 2
    assert len({job_key(config, (), "code") for config in configs}) == 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+curriculum=linaer"], "curriculum: there is no option 'linaer'; did you mean linear?"),
        (["+curriculum=linear", "curriculum.strat=1"], "Linear has no setting 'strat'; did you"),
        (["+curriculum=linear", "curriculum.start=2"], "curriculum.start"),
        (["curriculum.start=0.5"], "curriculum"),
        (["+curriculum=linear", "corpus=labelled", "objective=classification"],
         "curriculum=linear needs objective.reads to be windows"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(overrides: list[str], words: str):
    checked = check(overrides)
    assert checked.problems
    assert words in checked.message()


def test_contexts_grow_and_the_run_says_so(train: Callable[..., RunFolder]):
    given = [*SMALL, "budget.steps=8", "sequence_length=16", "+curriculum=doubling"]
    folder = train(*given)
    assert contexts(folder) == [2, 2, 4, 4, 8, 8, 16, 16]
    assert folder.summary()["choice"]["curriculum"] == "doubling"
    assert folder.config().choice.curriculum == "doubling"
    values = of_config(yaml.safe_load((folder.path / "config.yaml").read_text())).values
    assert values["curriculum"] == "doubling"
    assert values["curriculum.times"] == 3
    resumed = check([*given, f"resume={folder.path}", "curriculum.times=1"]).only()
    with pytest.raises(InputError, match=r"curriculum.times: 3 -> 1"):
        refuse_changes(resumed)


def own(folder: Path, module: str, code: str, **options_of: str) -> list[str]:
    """A folder with a module and options of groups, and the arguments that name it."""
    (folder / f"{module}.py").write_text(code)
    for key, text in options_of.items():
        group, _, option = key.partition("__")
        (folder / "conf" / group).mkdir(parents=True, exist_ok=True)
        (folder / "conf" / group / f"{option}.yaml").write_text(text)
    return ["--config-dir", str(folder / "conf")]


PACED = """
from loomlab.objective.clm import CausalLM

class Pace:
    def __init__(self, speed: float = 2.0):
        self.speed = speed

class PacedLM(CausalLM):
    def __init__(self, *, pace, **shared):
        super().__init__(**shared)
        self.pace = pace

    def loss(self, logits_MV, targets_M):
        return self.pace.speed * super().loss(logits_MV, targets_M)
"""
PACE = "defaults: [/schema/pace/quick@_here_, _self_]\n_target_: pacing.Pace\n"
PACED_LM = "defaults: [/schema/objective/paced@_here_, _self_]\n_target_: pacing.PacedLM\n"


def test_an_option_that_names_the_group_is_given_what_it_builds(
    tmp_path: Path, train: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
):
    own(tmp_path, "pacing", PACED, pace__quick=PACE, objective__paced=PACED_LM)
    monkeypatch.chdir(tmp_path)
    unclipped = "trainer.gradient_clip_val=null"
    given = [*SMALL, unclipped, "optimizer=sgd", "optimizer.lr=0.5", "scheduler=constant"]
    once = train(*given, "objective=paced", "+pace=quick", "pace.speed=1", folder="once")
    twice = train(*given, "objective=paced", "+pace=quick", folder="twice")
    plain = train(*given, folder="plain")
    first, second = zip(*(losses(f) for f in (once, twice, plain)), strict=True)
    assert first == pytest.approx([first[0]] * 3)
    assert second[2] == pytest.approx(second[0])
    assert second[1] != pytest.approx(second[0])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+pace=quick"], "pace=quick: nothing takes it: no chosen option has a keyword-only "
         "parameter 'pace', and Pace is no Lightning Callback; leave out +pace"),
        (["objective=paced"], "objective=paced: needs an option of pace; add +pace=quick"),
        (["+knobs=some"], "knobs: its values are read by nothing"),
        (["+knobs=some", "seed='${knobs.size}'"], ""),
        (["+moods=odd"], "moods=odd: axis_kind = 'mood' is none of outcome, speed, observe, run"),
    ],
)  # fmt: skip
def test_a_group_that_nothing_takes_is_refused_by_name(
    tmp_path: Path, overrides: list[str], words: str
):
    code = f"{PACED}\nclass Odd:\n    axis_kind = 'mood'\n"
    pace, paced = (text.replace("pacing", "paces") for text in (PACE, PACED_LM))
    arguments = own(
        tmp_path, "paces", code, pace__quick=pace, objective__paced=paced,
        knobs__some="size: 4\n", moods__odd="_target_: paces.Odd\n",
    )  # fmt: skip
    checked = check(overrides, arguments)
    assert words in (checked.message() if checked.problems else "")
    assert bool(checked.problems) == bool(words)


def test_a_group_for_speed_is_no_part_of_what_a_job_is(tmp_path: Path):
    code = "import pytorch_lightning as pl\nclass Fast(pl.Callback):\n    axis_kind = 'speed'\n"
    arguments = own(tmp_path, "haste", code, haste__fast="_target_: haste.Fast\n")
    plain, fast = (check(o, arguments).only() for o in ([], ["+haste=fast"]))
    assert job_key(plain, (), "code") == job_key(fast, (), "code")
    assert job_key(fast, ("haste",), "code") != job_key(plain, (), "code")


CALLED = "import pytorch_lightning as pl\nclass Called(pl.Callback):\n    'One.'\n"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+class=one", "class: is a word of Python and can be no group; rename its folder"),
        ("+deep/down=one", "deep/down/one: its group is more than one folder deep"),
        ("+format=one", "format: is for `loom export`, not for a run; leave out +format"),
        ("+hardware=h100", "hardware: is for `loom plan`, not for a run"),
        ("pace=one", "pace: is not among the defaults; write +pace=one"),
        ("+pace=one", ""),
        ("experiment=paced", ""),
    ],
)
def test_what_can_be_no_group_is_said(tmp_path: Path, override: str, words: str):
    groups = ("class", "deep/down", "format", "pace")
    arguments = own(tmp_path, "called", CALLED)
    for group in groups:
        (tmp_path / "conf" / group).mkdir(parents=True)
        text = f"defaults: [/schema/{group}/one@_here_, _self_]\n_target_: called.Called\n"
        (tmp_path / "conf" / group / "one.yaml").write_text(text)
    (tmp_path / "conf" / "experiment").mkdir()
    paced = "# @package _global_\ndefaults: [{/pace: one}]\n"
    (tmp_path / "conf" / "experiment" / "paced.yaml").write_text(paced)
    checked = check([override], arguments)
    assert words in (checked.message() if checked.problems else "")
    assert bool(checked.problems) == bool(words)
    if not words:
        assert checked.configs[0].pace["_target_"] == "called.Called"
