"""Classes read from their text: parameters, attributes and descriptions, nothing imported."""

import sys
from pathlib import Path

import pytest

from loomlab.catalog.source import MISSING, SourceError, read_target

BASE = '''"""A module that must never be imported."""
raise RuntimeError("imported")

from dataclasses import dataclass


class Base:
    """The base. Second sentence.

    More text.
    """

    color = "red"
    sizes = (1, 2)
    computed = len("x")

    def __init__(self, width: int = 4, depth: float = 0.5, *, total: int, rate: float = 1.0):
        pass

    def problems(self): ...


class Through(Base):
    """Own settings and those of the base."""

    color = "blue"

    def __init__(self, extra: str = "x", depth: float = 0.9, *, late: int = 0, **kwargs):
        pass


class Without(Base):
    """No constructor of its own."""


class Alone(Base):
    """Replaces the constructor."""

    def __init__(self, only: int = 1):
        pass


class Needs:
    """Has a setting without default."""

    def __init__(self, must: int, may: list = [1], calculated: int = 2 * 3): ...


@dataclass
class Data:
    """Fields are parameters."""

    rank: int
    alpha: float = 2.0
    kind: str = "a"


def function(x: int = 3, *, y: int = 4):
    """A function is a target too."""
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"pkg_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("from .base import Base as Renamed\n")
    (folder / "base.py").write_text(BASE)
    (folder / "inner" / "__init__.py").write_text("from ..base import Through\n")
    (folder / "inner" / "far.py").write_text(
        f"from {name} import Renamed\n\nclass Far(Renamed):\n    '''Far.'''\n    color = 'x'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def settings(target: str) -> dict[str, object]:
    return {name: p.default for name, p in read_target(target).settings().items()}


def test_settings_stand_before_the_star(package: str):
    source = read_target(f"{package}.base.Base")
    assert settings(source.target) == {"width": 4, "depth": 0.5}
    assert source.parameters["total"].keyword_only
    assert source.parameters["total"].default is MISSING
    assert source.summary == "The base. Second sentence."
    assert source.methods >= {"__init__", "problems"}
    assert f"{package}.base" not in sys.modules


def test_attributes_are_literals_and_inherited(package: str):
    base = read_target(f"{package}.base.Base").attributes
    assert base["color"] == "red"
    assert base["sizes"] == (1, 2)
    assert "computed" not in base
    through = read_target(f"{package}.base.Through")
    assert through.attributes["color"] == "blue"
    assert through.attributes["sizes"] == (1, 2)
    assert "problems" in through.methods


def test_keywords_go_on_to_the_base(package: str):
    assert settings(f"{package}.base.Through") == {"extra": "x", "depth": 0.9, "width": 4}
    source = read_target(f"{package}.base.Through")
    assert source.parameters["late"].keyword_only
    assert "total" in source.parameters
    assert not source.takes_any_keyword, "the base takes no further keyword"


def test_constructor_is_inherited_or_replaced(package: str):
    assert settings(f"{package}.base.Without") == {"width": 4, "depth": 0.5}
    assert settings(f"{package}.base.Alone") == {"only": 1}


def test_defaults_that_are_no_literals_are_missing(package: str):
    assert settings(f"{package}.base.Needs") == {
        "must": MISSING,
        "may": [1],
        "calculated": MISSING,
    }


def test_dataclasses_and_functions(package: str):
    assert settings(f"{package}.base.Data") == {"rank": MISSING, "alpha": 2.0, "kind": "a"}
    assert settings(f"{package}.base.function") == {"x": 3}


@pytest.mark.parametrize("path", ["Renamed", "inner.Through", "inner.far.Far"])
def test_re_exports_are_followed(package: str, path: str):
    source = read_target(f"{package}.{path}")
    assert "width" in source.settings()
    assert source.target == f"{package}.{path}"


def test_base_in_another_module_gives_its_attributes(package: str):
    attributes = read_target(f"{package}.inner.far.Far").attributes
    assert attributes == {"color": "x", "sizes": (1, 2)}


def test_third_party_classes_are_read_without_import():
    source = read_target("torch.optim.SGD")
    assert {"lr", "momentum", "nesterov"} <= set(source.parameters)
    assert "params" in source.settings()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("Alone", "not a dotted path"),
        ("no_such_package_at_all.Thing", "there is no module 'no_such_package_at_all'"),
        ("loomlab.optimizer.nothing.Thing", "there is no module 'loomlab.optimizer.nothing'"),
        ("loomlab.optimizer.adamw.Adam", "has no 'Adam'"),
    ],
)
def test_what_is_not_there_is_named(target: str, words: str):
    with pytest.raises(SourceError, match=words):
        read_target(target)
