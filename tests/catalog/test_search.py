"""Options of the user's, outside the package: typed, described, checked and swept as our own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.marks import fast_slow_soak

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs, named_conf_dirs, package_conf, user_conf_dirs
from loomlab.compose.composer import compose_job, composing
from loomlab.sweep.plan import plan

Said = Callable[..., str]
WAYS = ("LOOM_CONF", "./conf", "--config-dir", "--config-dir=", "hydra.searchpath")
CHECKED = {
    "optimizer.lr=0.5": "",
    "optimizer.lrr=1": "Sign has no setting 'lrr'; did you mean lr?",
    "optimizer.lr=abc": "'abc' is not a number",
    "optimizer.lr=2": "2.0 is outside (0, 1]",
    "optimizer.mode=hrad": "none of hard, soft; did you mean hard?",
}


@pytest.fixture(params=WAYS)
def arguments(
    request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Make the project's conf known in one of the ways; the arguments that do it."""
    if request.param == "LOOM_CONF":
        monkeypatch.setenv("LOOM_CONF", f"/nowhere:{project}")
    if request.param == "./conf":
        monkeypatch.chdir(project.parent)
    named = {
        "--config-dir": ["--config-dir", str(project)],
        "--config-dir=": [f"--config-dir={project}"],
        "hydra.searchpath": [f"hydra.searchpath=[file://{project}]"],
    }
    return named.get(request.param, [])


some_ways = pytest.mark.parametrize(
    "arguments", fast_slow_soak(WAYS, ["./conf", "hydra.searchpath"]), indirect=True
)


def overrides_of(arguments: list[str]) -> list[str]:
    return [a for a in arguments if a.startswith("hydra.")]


def test_a_conf_folder_may_lie_at_home(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(project.parent))
    monkeypatch.setenv("LOOM_CONF", "/nowhere:~/conf")
    assert user_conf_dirs() == [project]


def test_option_of_the_user_composes_with_its_defaults(arguments: list[str]):
    with composing(arguments):
        config = compose_job([*overrides_of(arguments), "optimizer=sign", "optimizer.lr=0.5"])
    assert config.optimizer.lr == 0.5
    assert config.optimizer.mode == "hard"


@some_ways
def test_option_of_the_user_is_checked(said: Said, arguments: list[str]):
    for override, expected in CHECKED.items():
        given = [*overrides_of(arguments), "optimizer=sign", override]
        message = said(*given, arguments=arguments)
        assert expected in message
        assert bool(message) == bool(expected)


@some_ways
def test_option_of_the_user_is_swept(arguments: list[str]):
    given = [*overrides_of(arguments), "optimizer=sign,adamw"]
    checked = plan(given, arguments).checked
    assert not checked.problems, checked.message()
    targets = [config.optimizer._target_.rpartition(".")[2] for config in checked.configs.values()]
    assert targets == ["Sign", "AdamW"]


def test_option_of_the_user_is_listed(arguments: list[str]):
    catalog = Catalog(all_conf_dirs(arguments))
    assert "sign" in catalog.options["optimizer"]
    assert {"adamw", "muon", "sgd"} < set(catalog.options["optimizer"])


def test_misspelled_option_of_the_user(said: Said, project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOOM_CONF", str(project))
    assert "did you mean sign?" in said("optimizer=sgin")


def test_folders_that_are_not_there_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOM_CONF", "/no/such/folder")
    assert user_conf_dirs() == []
    assert named_conf_dirs(["--config-dir", "/no/such/folder"]) == []
    assert all_conf_dirs() == [package_conf()]


def test_package_folder_is_not_taken_for_a_users(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(package_conf().parent)
    assert user_conf_dirs() == []
