"""A fingerprint follows the content and the settings, not names or places."""

import os

import pytest

from loomlab.text import identity
from loomlab.text.identity import content_key, files_digest


def test_digest_follows_content_order_and_settings(tmp_path):
    a, b, copy = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for path, text in ((a, "one"), (b, "two"), (copy, "one")):
        path.write_text(text)
    assert files_digest([a, b], 1) == files_digest([copy, b], 1)
    assert len({files_digest([a, b], 1), files_digest([b, a], 1), files_digest([a, b], 2)}) == 3
    before = files_digest([a], 1)
    a.write_text("onE")
    assert files_digest([a], 1) != before


def test_of_a_large_file_size_and_time_of_change_count(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(identity, "WHOLE_BYTES", 3)
    path = tmp_path / "a"
    found = []
    states = [("four", 1), ("FOUR", 1), ("four", 2), ("fiver", 1), ("one", 1), ("two", 1)]
    for text, time in states:
        path.write_text(text)
        os.utime(path, ns=(time, time))
        found.append(files_digest([path]))
    assert found[0] == found[1]
    assert len(set(found)) == 5


def test_a_key_is_a_short_name_for_values():
    assert content_key("a", {"b": 1, "c": [2]}) == content_key("a", {"c": [2], "b": 1})
    keys = {content_key("a", 1), content_key("a", 2), content_key("a", "1"), content_key(1, "a")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {20}
    assert set("".join(keys)) <= set("0123456789abcdef")
