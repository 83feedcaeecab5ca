"""A misspelled or ill-valued setting of any option is refused, and the right one is named.

The gate tells every problem it finds, so settings are misspelled many at once: composing is what
such a test costs. In a round one option of every axis is looked at.
"""

import dataclasses
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.compose.annotation import Meaning, read_annotation
from loomlab.compose.axes import AXES, axis
from loomlab.compose.catalog import Catalog
from loomlab.compose.gate import check
from loomlab.compose.root import Budget, Experiment
from loomlab.compose.schema import option_schema
from loomlab.compose.search import all_conf_dirs, package_conf
from loomlab.compose.source import read_target

CATALOG = Catalog(all_conf_dirs())
OPTIONS = [
    (a.name, path.stem)
    for a in AXES
    for path in (package_conf() / a.name).glob("*.yaml")
    if "_target_:" in path.read_text()
]
PER_AXIS = {name: [o for n, o in OPTIONS if n == name] for name, _ in OPTIONS}
WITH_SETTINGS = [o for o in OPTIONS if CATALOG.source(*o).settings()]
ROOT_KEYS = [f.name for f in dataclasses.fields(Experiment) if f.name != "budget"]
BUDGETS = [f.name for f in dataclasses.fields(Budget)]


def selected(name: str, option: str) -> str:
    declared = axis(name)
    assert declared is not None
    return f"{name}=[{option}]" if declared.multiple else f"{name}={option}"


def prefix(name: str, option: str) -> str:
    declared = axis(name)
    return f"{name}.{option}" if declared is not None and declared.multiple else name


def doubled(key: str) -> str:
    """One letter in the middle twice."""
    middle = len(key) // 2
    return key[: middle + 1] + key[middle:]


def swapped(key: str) -> str:
    """The first two neighbours that differ, the other way round."""
    for i in range(len(key) - 1):
        if key[i] != key[i + 1]:
            return key[:i] + key[i + 1] + key[i] + key[i + 2 :]
    return key + key


@cache
def complaints(*overrides: str) -> dict[str, str]:
    """Path of each problem and its whole text."""
    problems = check(list(overrides)).problems.get(0, [])
    return {problem.path: str(problem) for problem in problems}


def bounded(name: str, option: str) -> dict[str, Meaning]:
    source = CATALOG.source(name, option)
    return {key: read_annotation(p.annotation) for key, p in source.settings().items()}


def round_of(name: str, option: str) -> tuple[tuple[str, str], ...]:
    """Axis and option of every axis, this one among them."""
    turn = PER_AXIS[name].index(option)
    return tuple((n, options[turn % len(options)]) for n, options in PER_AXIS.items())


def misspelled(name: str, option: str) -> dict[str, str]:
    """Misspelled setting -> the right one."""
    return {doubled(key): key for key in CATALOG.source(name, option).settings()}


def forced(name: str, option: str) -> dict[str, str]:
    """Misspelled setting -> the right one, as neither is a setting of this option."""
    known = CATALOG.source(name, option).settings()
    return {f(key): key for f in (doubled, swapped) for key in known if f(key) not in known}


@pytest.mark.parametrize(("name", "option"), WITH_SETTINGS, ids=lambda word: word)
def test_misspelled_settings_are_refused(name: str, option: str):
    picks, path = round_of(name, option), prefix(name, option)
    given = [f"{prefix(*pick)}.{key}=1" for pick in picks for key in misspelled(*pick)]
    said = complaints(*(selected(*pick) for pick in picks), *given)
    for key, right in misspelled(name, option).items():
        text = said[f"{path}.{key}"]
        assert f"no setting '{key}'" in text
        assert f"did you mean {right}?" in text


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=lambda word: word)
def test_misspelled_settings_cannot_be_forced_in(name: str, option: str):
    """Hydra's `+` adds any key; the second gate knows the class."""
    picks = round_of(name, option)
    given = [f"+{prefix(*pick)}.{key}=1" for pick in picks for key in [*forced(*pick), "qqqq"]]
    said = complaints(*(selected(*pick) for pick in picks), *given)
    path = prefix(name, option)
    assert "no setting 'qqqq'" in said[f"{path}.qqqq"]
    for key, right in forced(name, option).items():
        text = said[f"{path}.{key}"]
        assert f"no setting '{key}'" in text
        assert len(right) <= 3 or f"did you mean {right}?" in text


def impossible(kind: Any) -> str | None:
    """A word where the type wants something else; None where any word will do."""
    inner = [k for k in typing.get_args(kind) if k is not type(None)]
    kind = inner[0] if typing.get_origin(kind) is typing.Union and inner else kind
    if kind in (int, float, bool):
        return "word"
    return "word" if typing.get_origin(kind) in (list, dict) else None


def first_wrong(name: str, option: str) -> list[str]:
    """The override that gives the first typed setting of an option a word it cannot be."""
    typed = ((k, impossible(m.type)) for k, m in bounded(name, option).items())
    return [f"{prefix(name, option)}.{key}={bad}" for key, bad in typed if bad][:1]


@pytest.mark.parametrize(("name", "option"), WITH_SETTINGS, ids=lambda word: word)
def test_wrong_types_are_refused(name: str, option: str):
    """Every setting by the schema Hydra gets; the first also by the gate, which asks Hydra."""
    path, source = prefix(name, option), CATALOG.source(name, option)
    wrong = {k: bad for k, m in bounded(name, option).items() if (bad := impossible(m.type))}
    schema = OmegaConf.structured(option_schema(source))
    for key, bad in wrong.items():
        with pytest.raises(OmegaConfBaseException):
            OmegaConf.update(schema, key, bad)
    picks = round_of(name, option)
    given = [o for pick in picks for o in first_wrong(*pick)]
    said = complaints(*(selected(*pick) for pick in picks), *given)
    for key in list(wrong)[:1]:
        assert f"{path}.{key}: " in said[f"{path}.{key}"]


def outside(meaning: Meaning) -> Iterator[str]:
    """Values that the interval or the choices exclude, just so."""
    whole = int in (meaning.type, *typing.get_args(meaning.type))
    if meaning.choices:
        yield str(max(meaning.choices) + 1) if whole else "nosuchchoice"
    if not meaning.interval:
        return
    low, high = (part.strip() for part in meaning.interval[1:-1].split(","))
    step = 1 if whole else 1e-3
    for edge, bracket, sign in ((low, meaning.interval[0], -1), (high, meaning.interval[-1], 1)):
        if "inf" not in edge:
            number = int(edge) if whole else float(edge)
            yield str(number if bracket in "()" else number + sign * step)
    if not whole:
        yield from ("nan", "inf")


BOUNDED = [o for o in WITH_SETTINGS if any(list(outside(m)) for m in bounded(*o).values())]


def nth_outside(name: str, option: str, turn: int) -> dict[str, str]:
    bad = {key: list(outside(m)) for key, m in bounded(name, option).items()}
    return {key: values[turn] for key, values in bad.items() if len(values) > turn}


def typed(name: str, option: str, key: str, value: str) -> str:
    """The override that gives a setting a value, or a member of that value."""
    if typing.get_origin(bounded(name, option)[key].type) is dict:
        return f"++{prefix(name, option)}.{key}={{x: {value}}}"
    return f"{prefix(name, option)}.{key}={value}"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "option"), BOUNDED, ids=lambda word: word)
def test_values_out_of_range_are_refused(name: str, option: str):
    picks, path = round_of(name, option), prefix(name, option)
    for turn in range(4):  # below, above, nan and inf at most
        given = [
            typed(*pick, key, value)
            for pick in picks
            for key, value in nth_outside(*pick, turn).items()
        ]
        said = complaints(*(selected(*pick) for pick in picks), *given)
        for key, value in nth_outside(name, option, turn).items():
            text = said[f"{path}.{key}"]
            assert any(word in text for word in ("outside", "is none of", "finite")), text
            assert value.lower().removesuffix(".0") in text


def test_misspelled_shared_keys_are_refused():
    wrong = {swapped(key): key for key in ROOT_KEYS}
    said = complaints(*(f"{key}=1" for key in wrong))
    for key, right in wrong.items():
        assert "no such key or axis" in said[key]
        assert f"did you mean {right}?" in said[key]


def test_misspelled_budgets_are_refused():
    said = complaints(*(f"budget.{doubled(key)}=1" for key in BUDGETS))
    for key in BUDGETS:
        assert f"did you mean {key}?" in said[f"budget.{doubled(key)}"]


def test_misspelled_axes_are_refused():
    axes = [a.name for a in AXES if a.name not in ("experiment", "debug", "paths")]
    wrong = {swapped(name): name for name in axes}
    said = complaints(*(f"{key}=x" for key in wrong))
    for key, right in wrong.items():
        assert f"did you mean {right}?" in said[key]


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=lambda word: word)
def test_misspelled_option_names_are_refused(name: str, option: str):
    picks = round_of(name, option)
    text = complaints(*(f"{n}={doubled(o)}" for n, o in picks))[name]
    assert f"there is no option '{doubled(option)}'" in text
    assert f"did you mean {option}?" in text


def test_every_setting_has_an_annotation_and_a_default():
    """Else the gates above cannot judge its values."""
    for name, option in OPTIONS:
        target = CATALOG.source(name, option).target
        for key, parameter in read_target(target).settings().items():
            assert parameter.annotation is not None, f"{target}: {key}"
            assert isinstance(parameter.default, int | float | str | list | dict | None), key
