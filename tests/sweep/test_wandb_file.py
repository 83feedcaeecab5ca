"""The file is a sweep to W&B's own code, and what an agent makes of it is sound to loom."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hydra.core.global_hydra import GlobalHydra

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.sweep.wandb_file import sweep_file
from loomlab.text.package import fetch_package

SWEEPS = ("sweeps==0.3.0", "sweeps",  # W&B's own, whose dependencies are not wanted
          "e35fbfa87215000238dd4ee8589fc0fed476e4f792cbe803f65071e52d53a692")  # fmt: skip
Written = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def schema(cache_dir: Path) -> dict[str, Any]:
    """W&B's schema of such files, out of its package."""
    path = fetch_package(*SWEEPS, cache_dir) / "config" / "schema.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def written(schema: dict[str, Any]) -> Iterator[Written]:
    """The file of a sweep, valid to W&B's schema."""

    def write(*overrides: str) -> dict[str, Any]:
        file = json.loads(json.dumps(sweep_file(overrides)))
        jsonschema.validate(file, schema)
        return file

    yield write
    GlobalHydra.instance().clear()


def started(file: dict[str, Any], **drawn: object) -> list[str]:
    """The command line of a run, made by the agent's own code."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    draws = create_sweep_command_args({"args": {k: {"value": v} for k, v in drawn.items()}})
    words: list[str] = []
    for word in create_sweep_command(list(file["command"])):
        macro = word.startswith("${") and word.endswith("}")
        words += draws.get(word[2:-1], []) if macro else [word]
    return words


def config_of(words: list[str]) -> Any:
    """The checked config of such a command line."""
    assert words[:2] == ["loom", "train"]
    checked = check(words[2:])
    assert not checked.problems, checked.message()
    return checked.configs[0]


def values(file: dict[str, Any]) -> dict[str, list[object]]:
    """What each parameter may be; of a range, its ends."""
    return {k: p.get("values") or [p["min"], p["max"]] for k, p in file["parameters"].items()}


def test_grid_of_options_and_values(written: Written):
    given = ("optimizer=adamw,sgd", "seed=range(1,4)", "optimizer.lr=1e-3,1e-5", "name=a-run",
             "regularization=[],[dropout,ema]")  # fmt: skip
    file = written(*given)
    assert file["method"] == "grid"
    assert file["metric"] == {"name": "best/val/bits_per_byte", "goal": "minimize"}
    assert values(file) == {
        "optimizer": ["adamw", "sgd"],
        "seed": [1, 2, 3],
        "optimizer.lr": [0.001, 1e-05],
        "regularization": ["[]", "[dropout,ema]"],
    }
    for number in range(3):  # each value of each parameter is drawn
        drawn = {key: some[number % len(some)] for key, some in values(file).items()}
        config = config_of(started(file, **drawn))
        assert config.hydra.runtime.choices.optimizer == drawn["optimizer"]
        assert (config.seed, config.optimizer.lr) == (drawn["seed"], drawn["optimizer.lr"])
        assert f"[{','.join(config.regularization)}]" == drawn["regularization"]
        assert config.name == "a-run"


def test_draws_from_intervals_and_search_spaces(written: Written):
    file = written(
        "sweep=random", "sweep.n_jobs=7", "sweep.search=[optimizer]", "regularization=[dropout]",
        "model.layers=int(interval(1,4))", "regularization.dropout.hidden=interval(0,0.5)",
        "sequence_length=int(tag(log,interval(16,64)))",
    )  # fmt: skip
    assert (file["method"], file["run_cap"]) == ("random", 7)
    assert file["parameters"] == {
        "model.layers": {"distribution": "int_uniform", "min": 1, "max": 4},
        "regularization.dropout.hidden": {"distribution": "uniform", "min": 0.0, "max": 0.5},
        "sequence_length": {"distribution": "q_log_uniform_values", "min": 16, "max": 64, "q": 1},
        "optimizer.lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
        "optimizer.weight_decay": {"distribution": "log_uniform_values", "min": 1e-3, "max": 0.5},
    }
    for end in (0, 1):
        config_of(started(file, **{key: both[end] for key, both in values(file).items()}))


def test_wandbs_own_reading_of_the_distributions(written: Written):
    pytest.importorskip("optuna")
    from wandb.sdk.sweeps.scheduler.optuna import sweep_parameter_to_distribution

    given = ("optimizer.lr=tag(log,interval(1e-4,1e-2))", "model.layers=int(interval(1,4))",
             "optimizer.weight_decay=interval(0,1)", "seed=range(1,9,2)")  # fmt: skip
    file = written("sweep=random", *given)
    rate, layers, decay, seed = map(sweep_parameter_to_distribution, file["parameters"].values())
    assert (rate.low, rate.high, rate.log) == (1e-4, 1e-2, True)
    assert (type(layers).__name__, layers.low, layers.high) == ("IntDistribution", 1, 4)
    assert (type(decay).__name__, decay.low, decay.high) == ("FloatDistribution", 0.0, 1.0)
    assert seed.choices == (1, 3, 5, 7)


def test_search_becomes_wandbs_own(written: Written):
    pytest.importorskip("optuna")
    file = written("sweep=optuna", "sweep.n_trials=9", "optimizer.lr=interval(1e-4,1e-2)")
    assert (file["method"], file["run_cap"]) == ("bayes", 9)
    costs = written("sweep=optuna", "sweep.objectives=[parameters]", "model.layers=1,2")
    assert costs["metric"] == {"name": "parameters", "goal": "minimize"}
    labels = written("sweep=optuna", "objective=classification", "corpus=rotten_tomatoes",
                     "seed=1,2")  # fmt: skip
    assert labels["metric"]["goal"] == "maximize"


def test_repeated_runs_are_seeds(written: Written):
    assert written("sweep=seeds", "optimizer=adamw,sgd", "seed=5")["parameters"]["seed"] == {
        "values": [5, 6, 7]
    }


def test_place_is_that_of_the_logger(written: Written):
    file = written("seed=1,2", "logger.wandb.project=mine", "logger.wandb.entity=us")
    assert (file["project"], file["entity"]) == ("mine", "us")
    assert "entity" not in written("seed=1,2")


def test_every_run_has_a_folder_of_its_own(written: Written, monkeypatch: pytest.MonkeyPatch):
    file = written("seed=1,2")
    monkeypatch.setenv("WANDB_SWEEP_ID", "s5")
    folders = []
    for run in ("r1", "r2"):
        monkeypatch.setenv("WANDB_RUN_ID", run)
        folders.append(str(config_of(started(file, seed=1)).paths.output_dir))
    assert folders == ["outputs/wandb/s5/r1", "outputs/wandb/s5/r2"]
    kept = written("seed=1,2", "paths.output_dir=here/${oc.env:WANDB_RUN_ID}")
    assert [w for w in kept["command"] if "output_dir" in w] == [
        "paths.output_dir=here/${oc.env:WANDB_RUN_ID}"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ("seed=1", "there is nothing to draw from"),
        ("optimizer.lr=nan,1", "1 refused; no file was written"),
        ("optimizer.lr=interval(1,2)", "take sweep=random or sweep=optuna"),
        ("sweep=list seed=1,2", "no list of runs"),
        ("seed=1,2 launch.n_parallel=2", "launch.n_parallel says how loom runs a sweep"),
        ("seed=1,2 paths.sweep_dir=x", "paths.sweep_dir says how loom runs a sweep"),
        ("sweep=random sweep.seed=3 seed=1,2", "sweep.seed says how loom runs a sweep"),
        ("sweep=random sweep.repeat=2 optimizer=sgd,lion", "sweep.repeat: only with sweep=grid"),
        ("seed=1,2 logger=none", "give logger=wandb"),
        ("seed=1,2 logger.wandb.mode=offline", "mode=auto"),
        ("+trainer.max_depth=1,2", "has no setting"),
        ("++optimizer.lr=1,2", "in the name of a parameter"),
        ("logger.wandb.project=a,b", "one project"),
        ("seed=1,2 paths.output_dir=here", "a folder of its own"),
        ("sweep=random optimizer=adamw,sgd sweep.search=[optimizer]", "different search spaces"),
        ("sweep=asha seed=1,2", "no pruner"),
        ("sweep=optuna sweep.sampler=cmaes model.layers=range(1,3) seed=range(1,3)", "no cmaes"),
        ("sweep=optuna sweep.objectives=[parameters,flops] seed=1,2", "one number"),
        ("seed=1,2 +corpus.api_key=0123456789", "is a secret"),
    ],
)
def test_what_wandb_has_no_words_for_is_refused(written: Written, overrides: str, why: str):
    if "optuna" in overrides or "asha" in overrides:
        pytest.importorskip("optuna")
    with pytest.raises(InputError) as refusal:
        written(*overrides.split(" "))
    assert why in str(refusal.value)
