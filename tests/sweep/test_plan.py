"""Every job of a sweep is known, checked and named before the first starts."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from loomlab.errors import InputError
from loomlab.sweep.plan import Plan

Planned = Callable[..., Plan]


def test_jobs_of_a_sweep_in_hydras_order(planned: Planned):
    checked = planned("seed=1,2", "optimizer=adamw,sgd").checked
    assert not checked.problems
    assert checked.jobs == [
        ["seed=1", "optimizer=adamw"],
        ["seed=1", "optimizer=sgd"],
        ["seed=2", "optimizer=adamw"],
        ["seed=2", "optimizer=sgd"],
    ]
    assert [config.seed for config in checked.configs.values()] == [1, 1, 2, 2]
    assert not GlobalHydra.instance().is_initialized(), "Hydra is left as it was"


def test_one_bad_job_is_named(planned: Planned):
    message = planned("model=gpt,bert", "seed=1,2").checked.message()
    assert message.startswith("4 jobs, 2 refused; nothing was started:")
    assert "(jobs 2, 3)" in message
    assert message.count("  - ") == 1, "a problem of several jobs is told once"


def test_problem_of_all_jobs_is_told_once(planned: Planned):
    message = planned("seed=1,2,3", "optimizer.lr=nan").checked.message()
    assert message.count("  - ") == 1
    assert message.endswith("(all jobs)")


def test_single_bad_value_of_a_range(planned: Planned):
    assert "(job 1)" in planned("optimizer.lr=0.1,-0.1").checked.message()


def test_sweep_that_cannot_be_read(planned: Planned):
    with pytest.raises(InputError, match="cannot be read as an override") as refused:
        planned("seed=1,2", "model=gpt", "'probe=[samples]'")
    assert str(refused.value).count("\n  - ") == 1, "that one is all that is wrong"


def test_seeds_of_repeated_jobs(planned: Planned):
    made = planned("optimizer=adamw,sgd", "sweep.repeat=3", "seed=5")
    assert [job.differs for job in made.jobs] == [
        {"optimizer": o, "seed": str(s)} for o in ("adamw", "sgd") for s in (5, 6, 7)
    ]
    with pytest.raises(InputError, match="varies the seed, which takes several values already"):
        planned("seed=1,2", "sweep.repeat=3")


def test_values_of_an_option_that_is_swept(planned: Planned):
    made = planned("optimizer=muon,sgd", "optimizer.momentum=0.8")
    assert not made.checked.problems, "adamw, the default, has no momentum and is not asked"
    assert [config.optimizer.momentum for config in made.configs.values()] == [0.8, 0.8]


def test_an_options_own_preset_follows_it(planned: Planned):
    made = planned("model=gpt,gpt_small", "optimizer=adamw,sgd")
    sizes = {(c.model.layers, c.optimizer.lr) for c in made.configs.values()}
    assert len(sizes) == 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["hydra/launcher=joblib"], "choose how with launch=..."),
        (["hydra/sweeper=basic"], "choose how with sweep=..."),
        (["resume=outputs/x"], "loom sweep resume DIR"),
        (["paths.output_dir=x"], "paths.output_dir: each job has a folder of its own"),
        (["hydra.run.dir=x"], "hydra.run.dir: each job has a folder of its own"),
        (["hydra.sweep.dir=x"], "hydra.sweep.dir: is decided by paths.sweep_dir"),
        (["overwrite=true"], "overwrite: a sweep goes on with what is in its folder"),
        (["hydra.mode=RUN"], "hydra.mode: settings of Hydra's own do not reach the jobs"),
        (["hydra/job_logging=none"], "hydra/job_logging: settings of Hydra's own do not reach"),
        (["+hydra.callbacks.x={_target_: os.mkdir}"], "do not reach the jobs of a sweep"),
        (["sweep.repeat=2,3"], "takes one value for the whole sweep"),
        (["sweep.repeat=0"], "sweep.repeat: 0 is outside [1, inf)"),
        (["sweep.retries=1"], "did you mean retry"),
        (["launch.n_paralel=2"], "did you mean n_parallel"),
        (["sweep=gird"], "did you mean grid"),
    ],
)
def test_the_sweep_itself_is_checked(planned: Planned, overrides: list[str], words: str):
    with pytest.raises(InputError, match=re.escape(words)):
        planned("seed=1,2", *overrides)


@pytest.fixture
def own_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ways to sweep in a config folder of the user."""
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    head = "defaults: [random@_here_, _self_]\n"
    texts = {"mine": "n_jobs: 3\nsearch: [optimizer]\n", "misspelled": "n_job: 3\n",
             "bad": "n_jobs: 0\n", "many": "n_jobs: many\n"}  # fmt: skip
    for name, text in texts.items():
        (tmp_path / "conf" / "sweep" / f"{name}.yaml").write_text(head + text)
    monkeypatch.setenv("LOOM_CONF", str(tmp_path / "conf"))


@pytest.mark.usefixtures("own_sweeps")
def test_a_sweep_of_the_users_own_is_typed_and_checked(planned: Planned):
    made = planned("sweep=mine", "optimizer=adamw,sgd")
    assert len(made.checked.jobs) == 3
    assert all(any(o.startswith("optimizer.lr=") for o in job) for job in made.checked.jobs)
    assert len(planned("sweep=mine", "optimizer=adamw,sgd", "sweep.n_jobs=2").jobs) == 2
    for name, words in (
        ("misspelled", "Key 'n_job' not in 'RandomDraws'"),
        ("bad", "sweep.n_jobs: 0 is outside [1, inf)"),
        ("many", "'many'"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            planned(f"sweep={name}", "seed=1,2")


def test_tokens_of_a_job(planned: Planned):
    tokens = [
        planned("sequence_length=32", "global_batch_size=4", budget).jobs[0].tokens
        for budget in ("budget.steps=10", "budget.tokens=1000", "budget.seconds=5")
    ]
    assert tokens == [1280, 1024, None]
