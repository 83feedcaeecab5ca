"""`~` means the same in every path, as there is one function for it."""

from pathlib import Path

import pytest

import loomlab
from loomlab.home import at_home


def test_a_tilde_is_a_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert at_home("~/a") == at_home(Path("~/a")) == Path("/home/someone/a")
    assert at_home("~") == Path("/home/someone")
    assert at_home("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")
    assert at_home("a/~") == Path("a/~")


def test_nobody_has_a_rule_of_their_own():
    source = Path(loomlab.__file__).parent
    by_themselves = {p.name for p in source.rglob("*.py") if "expanduser" in p.read_text("utf-8")}
    assert by_themselves == {"home.py"}
