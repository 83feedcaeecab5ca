"""Declared floors leave out releases that are unsafe to load or to install; pins are complete."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = [Requirement(r) for r in PROJECT["dependencies"]]
ALL = [*DECLARED, *(Requirement(r) for extra in EXTRAS.values() for r in extra)]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in (line.split("==") for line in LINES)
}
# package: the last release that is known to be unsafe, and why
UNSAFE = {
    "pytorch-lightning": ("2.6.5", "malware in 2.6.2 and 2.6.3; _instantiator runs code before"),
    "torch": ("2.9.1", "memory corruption in the safe unpickler"),
    "transformers": ("5.2.0", "config.json of a hub repository runs code"),
    "hydra-core": ("1.3.7", "instantiate without its policy of targets"),
}


@pytest.mark.parametrize("package", UNSAFE)
def test_unsafe_releases_are_excluded(package: str):
    (declared,) = (r for r in DECLARED if r.name == package)
    last, why = UNSAFE[package]
    assert not declared.specifier.contains(last), why
    assert Version(last) < PINS[package]


@pytest.mark.parametrize("declared", ALL, ids=str)
def test_what_is_declared_is_pinned_within_its_range(declared: Requirement):
    name = canonicalize_name(declared.name)
    assert name in PINS
    assert declared.specifier.contains(PINS[name], prereleases=True)


def needed(requirements: list[Requirement], seen: set[str]) -> Iterator[str]:
    """Names of all packages that these bring, as far as they are installed."""
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        try:
            inner = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        if name in seen:
            continue
        seen.add(name)
        yield name
        wanted = [Requirement(text) for text in inner]
        extras = [{"extra": e} for e in ("", *requirement.extras)]
        met = [r for r in wanted if r.marker is None or any(r.marker.evaluate(e) for e in extras)]
        yield from needed(met, seen)


def test_every_package_that_an_install_brings_is_pinned():
    brought = set(needed(ALL, set()))
    assert {"torch", "tokenizers", "omegaconf", "pyyaml"} <= brought
    assert sorted(brought - PINS.keys()) == []


def test_the_tested_versions_are_the_installed_ones():
    brought = needed(ALL, set())
    installed = {name: Version(distribution(name).version).public for name in brought}
    other = {n: v for n, v in installed.items() if n in PINS and Version(v) != PINS[n]}
    assert other == {}


def test_pins_are_exact():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in LINES)
    assert str(PINS["torch"]) == "2.13.0"
