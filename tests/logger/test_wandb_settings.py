"""Variables, settings files and logins of W&B are found where its client finds them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.logger.wandb_settings import (
    automatic_mode,
    group_of,
    has_key,
    project_of,
    server_url,
    unless_told,
    use_writable_places,
)

KEY = "a" * 40
OTHER = "https://wandb.example.org"
Client = Callable[..., None]


def test_a_key_is_found_in_the_environment(client: Client, caplog: pytest.LogCaptureFixture):
    assert not has_key()
    client(WANDB_API_KEY=KEY)
    assert has_key()
    client(WANDB_API_KEY="made-up")
    assert not has_key()
    assert "API key must have" in caplog.text


@pytest.mark.parametrize("server", [None, OTHER])
def test_a_login_is_found(client: Client, tmp_path: Path, server: str | None):
    """Under the host that `wandb login` of this version writes, and of any before."""
    from wandb.sdk.lib.wbauth import write_netrc_auth

    client(**{"WANDB_BASE_URL": server} if server else {})
    login = tmp_path / ".netrc"
    write_netrc_auth(host=server_url(), api_key=KEY)
    assert has_key()
    login.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    assert has_key() == (server is None)
    login.write_text(f"machine example.org login user password {KEY}\n")
    assert not has_key()
    login.write_text("this is no netrc")
    assert not has_key()


def test_automatic_mode(client: Client, tmp_path: Path):
    assert automatic_mode(debug=False) == "disabled", "inside pytest"
    client(WANDB_MODE="online")
    assert automatic_mode(debug=True) == "disabled"
    assert automatic_mode(debug=False) == "online"
    client(WANDB_MODE="dryrun", WANDB_API_KEY=KEY)
    assert automatic_mode(debug=False) == "offline"
    client(WANDB_MODE=None, PYTEST_CURRENT_TEST=None)
    assert automatic_mode(debug=False) == "online"
    client(WANDB_API_KEY=None)
    assert automatic_mode(debug=False) == "offline"
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text("[default]\nmode = disabled\nproject = mine\n")
    client(WANDB_API_KEY=KEY)
    assert automatic_mode(debug=False) == "disabled", "as `wandb disabled` says"
    assert project_of(None) == "mine"


def test_what_is_configured_comes_first_and_our_own_last(client: Client):
    assert (project_of(None), group_of(None, "swept"), group_of(None, None)) == (
        "loomlab", "swept", None,
    )  # fmt: skip
    client(WANDB_PROJECT="told", WANDB_RUN_GROUP="told")
    assert (project_of(None), group_of(None, "swept")) == ("told", "told")
    assert (project_of("given"), group_of("given", "swept")) == ("given", "given")
    client(WANDB_CONSOLE="wrap")
    assert unless_told(console="off", silent=True) == {"silent": True}


def test_a_variable_that_the_client_refuses(client: Client):
    client(WANDB_MODE="sometimes")
    with pytest.raises(InputError, match=r"correct the WANDB_\.\.\. variable.* mode .*sometimes"):
        server_url()


def test_a_home_that_cannot_be_written(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.write_text("a file, below which nobody, not even root, can make a folder")
    places = {"XDG_CACHE_HOME": home / "a", "XDG_DATA_HOME": home / "b"}
    own = ("WANDB_CACHE_DIR", "WANDB_DATA_DIR")
    client(**{name: str(path) for name, path in places.items()}, LOOM_CACHE=str(cache))
    for name in own:  # which puts it back afterwards
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    use_writable_places()
    assert [os.environ[name] for name in own] == [str(cache / "wandb")] * 2
    client(WANDB_CACHE_DIR="mine", WANDB_DATA_DIR=None, XDG_DATA_HOME=str(tmp_path))
    use_writable_places()
    assert [os.environ.get(name) for name in own] == ["mine", None]
