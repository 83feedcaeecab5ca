"""What is composed from remembered files is, node by node, what Hydra composes from files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, Node
from tests.marks import one_in

from loomlab.compose.bases import CONFIG_NAME
from loomlab.compose.composer import compose_job, composing
from loomlab.compose.diagnosis import COMPOSE_ERRORS
from loomlab.compose.gate import check
from loomlab.compose.repository import RememberingRepository

Compose = Callable[[list[str]], DictConfig]

JOBS = [
    "",
    "seed=3 optimizer=sgd",
    "seed=4 optimizer=sgd",
    "optimizer=sgd seed=4 optimizer.lr=0.5",
    "optimizer.lr=0.5 optimizer.lr=0.25",
    "+optimizer.new=1 ++seed=7 ++optimizer.lr=1 ~optimizer.lr",
    "seed=9",
    "~budget.steps",
    "model.layers=3 model={width:32,heads:2}",
    "+extra={a:{b:[1,2]}} name='a=b, c'",
    "experiment=quickstart seed=2",
    "experiment=quickstart",
    "debug=limit callbacks=[] logger=none",
    "regularization=[dropout,ema] regularization.dropout.rate=0.3",
    "regularization=[ema,dropout]",
    "~logger",
    "name=run-${seed} optimizer.lr=${eval_lr} seed=5",
    "init=${oc.env:HOME} trainer.max_epochs=null",
    "paths.output_dir=x hydra.job.name=other optimizer=lion",
    "hydra.verbose=true seed=3",
    "optimizer=sgd optimizer.nesterov=true",
    # what Hydra refuses, it refuses in the same words
    "optimizer=sgd optimizer.betas=1",
    "optimizer=nosuch",
    "optimizer=null",
    "seed=abc",
    "seed=1,2",
    "optimizer=sgd,lion",
    "++optimizer=sgd",
    "+seed=5",
    "~optimizer.nosuch",
    "optimizer@other=sgd",
    "seed=[1",
]  # fmt: skip


@pytest.fixture(scope="module")
def hydras() -> Iterator[Compose]:
    """Hydra's own way on the same search path, inside `composing`."""
    with composing() as loader:
        assert isinstance(loader, ConfigLoaderImpl)
        assert isinstance(loader.repository, RememberingRepository)
        own = ConfigLoaderImpl(loader.get_search_path())
        yield lambda job: own.load_configuration(CONFIG_NAME, job, RunMode.RUN, from_shell=False)


def described(node: Any) -> Any:
    """All there is to a node: kind, types, flags, values as written and the order of keys."""
    if not isinstance(node, Node):
        return node
    said = {k: str(v) for k, v in vars(node._metadata).items() if k != "resolver_cache"}
    head = (type(node).__name__, said)  # but for the cache, which holds the time of day
    if isinstance(node, DictConfig | ListConfig) and isinstance(node._content, dict | list):
        pairs = node._content.items() if isinstance(node, DictConfig) else enumerate(node._content)
        return head, [(key, described(child)) for key, child in pairs]
    return head, node._value()


def outcome(compose: Compose, job: str) -> Any:
    """The description of the config of a job, or why there is none."""
    try:
        return described(compose(job.split(" ") if job else []))
    except COMPOSE_ERRORS as error:
        return type(error), str(error), type(error.__cause__), str(error.__cause__)


@pytest.mark.parametrize("job", one_in(4, JOBS))
def test_as_hydra_itself(hydras: Compose, job: str):
    wanted = outcome(hydras, job)
    assert outcome(compose_job, job) == wanted
    assert outcome(compose_job, job) == wanted, "a second time, from memory"


def test_nothing_leaks_from_job_to_job(hydras: Compose):
    before = outcome(compose_job, "optimizer=sgd seed=1")
    assert outcome(compose_job, "optimizer=lion seed=2 optimizer.lr=9 +extra=1") != before
    again = outcome(compose_job, "optimizer=sgd seed=1")
    assert again == before == outcome(hydras, "optimizer=sgd seed=1")


def test_option_of_a_search_path_given_as_an_override(tmp_path: Path, hydras: Compose):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("lr: 0.125\n")
    for job in (f"hydra.searchpath=[file://{tmp_path}] optimizer=mine", "optimizer=mine"):
        assert outcome(compose_job, job) == outcome(hydras, job)


@pytest.mark.parametrize("entry", ["../../evil", "/../evil@_here_", "/../evil@_global_"])
def test_a_list_of_defaults_stays_in_the_config_folders(tmp_path: Path, entry: str):
    (tmp_path / "evil.yaml").write_text("seed: 7\n")
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "led.yaml").write_text(
        f"# @package _global_\ndefaults:\n  - {entry}\n"
    )
    checked = check(["experiment=led"], ["--config-dir", str(tmp_path / "conf")])
    assert "evil: leaves the config folders" in checked.message()
