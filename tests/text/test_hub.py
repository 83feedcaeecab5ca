"""The hub: folders first, offline by environment, one clear sentence when it is out of reach."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from loomlab.errors import InputError
from loomlab.text import hub


def test_offline_by_environment_asks_no_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.offline()
    with pytest.raises(InputError, match="not in the local cache"):
        hub.require_checkpoint("loomlab-nobody/nothing")


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_every_way_to_stay_off_the_hub(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    for value, asked in {"1": 1, "ON": 1, "yes": 1, "True": 1, "0": 0, "": 0, "no": 0}.items():
        monkeypatch.setenv(name, value)
        assert hub.offline() == bool(asked), value


def test_what_was_loaded_once_is_used_without_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model, commit = tmp_path / "models--me--tiny", "c" * 40
    (model / "snapshots" / commit).mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"model\.name=me/tiny is no local .* config\.json and w"):
        hub.require_checkpoint("me/tiny")
    for name, require in (
        ("config.json", hub.require_checkpoint), ("vocab.txt", hub.require_tokenizer)
    ):  # fmt: skip
        (model / "snapshots" / commit / name).touch()
        assert require("me/tiny"), "local files only"
    asked: list[str] = []
    monkeypatch.setattr(hub, "answers", lambda url: asked.append(url) is None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert not hub.require_checkpoint("me/tiny"), "the hub may have a newer one"
    assert asked == ["https://huggingface.co"]


def test_a_hub_that_does_not_answer_costs_a_second(unreachable_hub):
    assert not hub.hub_answers()
    assert unreachable_hub == [1.0]


def test_a_folder_needs_what_is_loaded_from_it(tmp_path):
    with pytest.raises(InputError, match=r"model\.name: the folder .* has no config\.json"):
        hub.require_checkpoint(str(tmp_path))
    with pytest.raises(InputError, match=r"tokenizer\.name: the folder .* has no tokenizer\.json"):
        hub.require_tokenizer(str(tmp_path))
    for name in hub.TOKENIZER_FILES:
        (tmp_path / name).touch()
        assert hub.require_tokenizer(str(tmp_path))
        (tmp_path / name).unlink()


def test_weights_of_the_hub_lie_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first kind that there is, with all files that an index names."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "models--me--tiny" / "snapshots" / ("c" * 40)
    folder.mkdir(parents=True)
    (folder.parents[1] / "refs").mkdir()
    (folder.parents[1] / "refs" / "main").write_text(folder.name)
    (folder / "config.json").write_text("{}")
    kinds = ("whole.safetensors", "parts.safetensors.index.json", "old.bin")
    assert hub.fetched("init", "me/tiny") == hub.fetched("init", "me/tiny", kinds) == folder
    (folder / kinds[1]).write_text('{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}')
    (folder / "1.safetensors").touch()
    with pytest.raises(InputError, match=r"init=me/tiny does not exist as a folder, and cannot"):
        hub.fetched("init", "me/tiny", kinds)
    (folder / "2.safetensors").touch()
    assert hub.fetched("init", "me/tiny", kinds) == folder
    (folder / kinds[0]).touch()
    (folder / "2.safetensors").unlink()
    assert hub.fetched("init", "me/tiny", kinds) == folder, "the parts are not asked for"


def test_what_can_be_a_name_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    assert hub.is_hub_name("openai-community/gpt2")
    for path in ("outputs/run", "gpt2", "./gpt2", "/a/b", "a/b/c", "~/gpt2", "a/"):
        assert not hub.is_hub_name(path), path
