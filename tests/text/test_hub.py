"""The hub: folders first, offline by environment, one clear sentence when it is out of reach."""

import pytest

from loomlab.errors import InputError
from loomlab.text import hub


def test_offline_by_environment_asks_no_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.offline()
    with pytest.raises(InputError, match="not in the local cache"):
        hub.require_checkpoint("loomlab-nobody/nothing")


def test_a_hub_that_does_not_answer_costs_a_second(unreachable_hub):
    assert not hub.hub_answers()
    assert unreachable_hub == [1.0]


def test_a_folder_needs_what_is_loaded_from_it(tmp_path):
    with pytest.raises(InputError, match=r"model\.name: the folder .* has no config\.json"):
        hub.require_checkpoint(str(tmp_path))
    with pytest.raises(InputError, match=r"tokenizer\.name: the folder .* has no tokenizer\.json"):
        hub.require_tokenizer(str(tmp_path))
    (tmp_path / "vocab.txt").write_text("a\n")
    assert hub.require_tokenizer(str(tmp_path))
