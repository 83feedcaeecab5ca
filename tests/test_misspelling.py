"""A misspelled or ill-valued setting of any option is refused, and the right one is named.

The gate tells every problem it finds, so settings are misspelled many at once: composing is what
such a test costs. A round has an option of every axis that has one left, of an axis that takes
several at once a share of them.
"""

import dataclasses
import math
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.catalog.annotation import Meaning, read_annotation
from loomlab.catalog.axes import AXES
from loomlab.catalog.options import Catalog
from loomlab.catalog.root import Budget, Experiment
from loomlab.catalog.schema import option_schema
from loomlab.catalog.search import all_conf_dirs, package_conf
from loomlab.catalog.source import read_target
from loomlab.compose.gate import check

CATALOG = Catalog(all_conf_dirs())
OPTIONS = [
    (a.name, path.stem)
    for a in AXES
    for path in (package_conf() / a.name).glob("*.yaml")
    if "_target_:" in path.read_text()
]
PER_AXIS = {name: sorted(o for n, o in OPTIONS if n == name) for name, _ in OPTIONS}
SEVERAL = {a.name for a in AXES if a.multiple}
COUNT = max(len(options) for name, options in PER_AXIS.items() if name not in SEVERAL)
Picks = tuple[tuple[str, str], ...]
ROOT_KEYS = [f.name for f in dataclasses.fields(Experiment) if f.name != "budget"]
BUDGETS = [f.name for f in dataclasses.fields(Budget)]


def round_of(number: int) -> Picks:
    """Axes and options of a round."""
    found = []
    for name, options in PER_AXIS.items():
        share = math.ceil(len(options) / COUNT)
        found += [(name, o) for o in options[number * share : (number + 1) * share]]
    return tuple(found)


ROUNDS = [round_of(number) for number in range(COUNT)]
each_round = pytest.mark.parametrize("picks", ROUNDS, ids=map(str, range(COUNT)))


def selected(picks: Picks) -> list[str]:
    """The overrides that choose the options."""
    several = [(name, [o for n, o in picks if n == name]) for name in SEVERAL]
    lists = [f"{name}=[{','.join(options)}]" for name, options in several if options]
    return [f"{name}={option}" for name, option in picks if name not in SEVERAL] + lists


def prefix(name: str, option: str) -> str:
    return f"{name}.{option}" if name in SEVERAL else name


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


def complaints(*overrides: str) -> dict[str, str]:
    """Path of each problem and its whole text."""
    problems = check(list(overrides)).problems.get(0, [])
    return {problem.path: str(problem) for problem in problems}


def bounded(name: str, option: str) -> dict[str, Meaning]:
    source = CATALOG.source(name, option)
    return {key: read_annotation(p.annotation) for key, p in source.settings().items()}


def misspelled(name: str, option: str) -> dict[str, str]:
    """Misspelled setting -> the right one."""
    return {doubled(key): key for key in CATALOG.source(name, option).settings()}


def forced(name: str, option: str) -> dict[str, str]:
    """Misspelled setting -> the right one, as neither is a setting of this option."""
    known = CATALOG.source(name, option).settings()
    return {f(key): key for f in (doubled, swapped) for key in known if f(key) not in known}


@each_round
def test_misspelled_settings_are_refused(picks: Picks):
    given = [f"{prefix(*pick)}.{key}=1" for pick in picks for key in misspelled(*pick)]
    said = complaints(*selected(picks), *given)
    for pick in picks:
        for key, right in misspelled(*pick).items():
            text = said[f"{prefix(*pick)}.{key}"]
            assert f"no setting '{key}'" in text
            assert f"did you mean {right}?" in text


@each_round
def test_misspelled_settings_cannot_be_forced_in(picks: Picks):
    """Hydra's `+` adds any key; the second gate knows the class."""
    given = [f"+{prefix(*pick)}.{key}=1" for pick in picks for key in [*forced(*pick), "qqqq"]]
    said = complaints(*selected(picks), *given)
    for pick in picks:
        path = prefix(*pick)
        assert "no setting 'qqqq'" in said[f"{path}.qqqq"]
        for key, right in forced(*pick).items():
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


def wrong_types(name: str, option: str) -> dict[str, str]:
    """Typed settings of an option, each with a word it cannot be."""
    typed = ((k, impossible(m.type)) for k, m in bounded(name, option).items())
    return {key: bad for key, bad in typed if bad}


@each_round
def test_wrong_types_are_refused(picks: Picks):
    """Every setting by the schema Hydra gets; the first also by the gate, which asks Hydra."""
    for pick in picks:
        schema = OmegaConf.structured(option_schema(CATALOG.source(*pick)))
        for key, bad in wrong_types(*pick).items():
            with pytest.raises(OmegaConfBaseException):
                OmegaConf.update(schema, key, bad)
    first = {f"{prefix(*p)}.{k}": bad for p in picks for k, bad in [*wrong_types(*p).items()][:1]}
    said = complaints(*selected(picks), *(f"{path}={bad}" for path, bad in first.items()))
    for path in first:
        assert f"{path}: " in said[path]


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


def nth_outside(name: str, option: str, turn: int) -> dict[str, str]:
    bad = {key: list(outside(m)) for key, m in bounded(name, option).items()}
    return {key: values[turn] for key, values in bad.items() if len(values) > turn}


def typed(name: str, option: str, key: str, value: str) -> str:
    """The override that gives a setting a value, or a member of that value."""
    if typing.get_origin(bounded(name, option)[key].type) is dict:
        return f"++{prefix(name, option)}.{key}={{x: {value}}}"
    return f"{prefix(name, option)}.{key}={value}"


@pytest.mark.slow
@each_round
@pytest.mark.parametrize("turn", range(4))  # below, above, nan and inf at most
def test_values_out_of_range_are_refused(picks: Picks, turn: int):
    bad = [(p, k, value) for p in picks for k, value in nth_outside(*p, turn).items()]
    said = complaints(*selected(picks), *(typed(*p, k, value) for p, k, value in bad))
    for pick, key, value in bad:
        text = said[f"{prefix(*pick)}.{key}"]
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


@pytest.mark.parametrize("number", range(max(map(len, PER_AXIS.values()))))
def test_misspelled_option_names_are_refused(number: int):
    """One of each axis, as only the first wrong one in a list is named."""
    picks = [(name, options[number]) for name, options in PER_AXIS.items() if options[number:]]
    said = complaints(*selected(tuple((name, doubled(option)) for name, option in picks)))
    for name, option in picks:
        assert f"there is no option '{doubled(option)}'" in said[name]
        assert f"did you mean {option}?" in said[name]


def test_every_setting_has_an_annotation_and_a_default():
    """Else the gates above cannot judge its values."""
    for name, option in OPTIONS:
        target = CATALOG.source(name, option).target
        for key, parameter in read_target(target).settings().items():
            assert parameter.annotation is not None, f"{target}: {key}"
            assert isinstance(parameter.default, int | float | str | list | dict | None), key
