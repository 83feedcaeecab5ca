"""Search spaces beside their options: each job gets those of the options it has."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.marks import fast_slow_soak

from loomlab.catalog.axes import SEARCH, all_options
from loomlab.catalog.search import package_conf
from loomlab.errors import InputError
from loomlab.sweep.plan import Plan

Planned = Callable[..., Plan]
SPACES = sorted(package_conf().glob(f"*/{SEARCH}/*.yaml"))


@pytest.fixture
def own_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write a search space into a config folder of the user."""
    monkeypatch.setenv("LOOM_CONF", str(tmp_path))

    def write(place: str, text: str) -> None:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def told(planned: Planned, *overrides: str) -> str:
    with pytest.raises(InputError) as refusal:
        planned(*overrides)
    return str(refusal.value)


QUICK = [path for path in SPACES if path.stem in ("adamw", "dropout", "bert")]


@pytest.mark.parametrize(
    "path",
    fast_slow_soak(SPACES, QUICK, [path for path in SPACES if path not in QUICK]),
    ids=lambda p: f"{p.parts[-3]}/{p.stem}",
)
def test_space_of_the_package_is_sound_at_its_ends(planned: Planned, path: Path):
    axis, option = path.parts[-3], path.stem
    more = ["objective=mlm"] if option == "bert" else []
    choice = f"[{option}]" if axis == "regularization" else option
    made = planned(f"{axis}={choice}", f"sweep.search=[{axis}]", "sweep=optuna", *more)
    assert not made.checked.problems, made.checked.message()
    assert len(made.checked.jobs) >= 2


def test_spaces_are_no_options(planned: Planned):
    options = all_options([package_conf()])
    assert [group for group in options if SEARCH in group] == []
    made = planned("optimizer=glob(*)", "sweep=grid")
    assert [job.differs["optimizer"] for job in made.jobs] == options["optimizer"]
    assert "no such option" in planned("optimizer=search/adamw").checked.message()


def test_each_option_brings_its_own_values(planned: Planned, own_space: Callable):
    own_space("optimizer/search/adamw.yaml", "optimizer.lr: choice(0.1, 0.2)\n")
    own_space("optimizer/search/sgd.yaml", "optimizer.momentum: [0, 0.5]\n")
    own_space("optimizer/search/lion.yaml", "# nothing is to be varied\n")
    made = planned("optimizer=adamw,sgd,lion", "sweep.search=[optimizer]")
    assert [job.overrides for job in made.jobs] == [
        ["optimizer=adamw", "optimizer.lr=0.1"],
        ["optimizer=adamw", "optimizer.lr=0.2"],
        ["optimizer=sgd", "optimizer.momentum=0"],
        ["optimizer=sgd", "optimizer.momentum=0.5"],
        ["optimizer=lion"],
    ]


def test_options_of_an_experiment_and_of_a_multi_select_axis(
    planned: Planned, own_space: Callable
):
    own_space("experiment/mine.yaml", "# @package _global_\n# One.\ndefaults:\n"
              "  - override /regularization: [ema, z_loss]\n")  # fmt: skip
    own_space("regularization/search/ema.yaml", "regularization.ema.decay: [0.9, 0.99]\n")
    own_space("regularization/search/z_loss.yaml", "regularization.z_loss.weight: [0.1]\n")
    made = planned("experiment=mine", "sweep.search=[regularization]")
    assert [job.overrides[1:] for job in made.jobs] == [
        ["regularization.ema.decay=0.9", "regularization.z_loss.weight=0.1"],
        ["regularization.ema.decay=0.99", "regularization.z_loss.weight=0.1"],
    ]
    assert len(planned("sweep.search=[regularization]").jobs) == 1, "no option, nothing varied"


def test_what_the_command_line_says_goes_before(planned: Planned):
    made = planned("optimizer=sgd", "optimizer.lr=0.5", "optimizer.momentum=0.1,0.2",
                   "sweep.search=[optimizer]")  # fmt: skip
    assert [job.overrides[1:] for job in made.jobs] == [
        ["optimizer.lr=0.5", "optimizer.momentum=0.1"],
        ["optimizer.lr=0.5", "optimizer.momentum=0.2"],
    ]


def test_grid_has_no_place_for_an_interval(planned: Planned):
    for overrides in (["sweep.search=[optimizer]"], ["optimizer.lr=interval(1,2)"]):
        said = told(planned, *overrides)
        assert said.startswith("optimizer.lr: an interval has no end of values")
        assert "sweep=random or sweep=optuna" in said


def test_keys_of_a_space_are_checked_as_any_override(planned: Planned, own_space: Callable):
    own_space("optimizer/search/adamw.yaml", "optimizer.lrr: interval(1, 2)\n")
    made = planned("sweep.search=[optimizer]", "sweep=optuna")
    assert "AdamW has no setting 'lrr'; did you mean lr?" in made.checked.message()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimizer.lr: 0.1", "optimizer.lr has one value, not a space"),
        ("optimizer.lr: interval(1", "cannot be read"),
        ("optimizer.lr: [", "cannot be read"),
        ("- optimizer.lr", "cannot be read"),
    ],
)
def test_space_that_is_none(planned: Planned, own_space: Callable, text: str, said: str):
    own_space("optimizer/search/adamw.yaml", text)
    message = told(planned, "sweep.search=[optimizer]", "sweep=random")
    assert message.startswith("conf/optimizer/search/adamw.yaml")
    assert said in message
    assert "\n" not in message


def test_axis_or_space_that_is_not_there(planned: Planned):
    assert "did you mean optimizer?" in told(planned, "sweep.search=[optimizr]")
    said = told(planned, "sweep.search=[tokenizer]")
    assert "tokenizer=byte_bpe has no search space; write conf/tokenizer/search/byte_bpe" in said


def test_every_option_is_tried_with_the_ends_of_all_ranges(planned: Planned):
    jobs = planned("optimizer=adamw,sgd", "optimizer.lr=interval(0.1,0.2)", "seed=1,2,3",
                   "sweep=optuna").checked.jobs  # fmt: skip
    assert len(jobs) == 6
    for optimizer in ("adamw", "sgd"):
        mine = {o for job in jobs if f"optimizer={optimizer}" in job for o in job}
        assert mine == {f"optimizer={optimizer}", "optimizer.lr=0.1", "optimizer.lr=0.2",
                        "seed=1", "seed=2", "seed=3"}  # fmt: skip


def test_of_many_combinations_each_option_is_tried(planned: Planned):
    jobs = planned("optimizer=glob(*)", "scheduler=glob(*)", "position=learned,rope",
                   "sweep=optuna").checked.jobs  # fmt: skip
    assert len(jobs) == 7, "as many as the longest list, rather than 98"
    assert len({job[0] for job in jobs}) == len({job[1] for job in jobs}) == 7


def test_nothing_to_draw_from(planned: Planned):
    for kind in ("random", "optuna"):
        assert told(planned, "seed=2", f"sweep={kind}").startswith("there is nothing to draw from")
