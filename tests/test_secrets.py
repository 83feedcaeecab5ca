"""Secrets of the environment, the config and the command line are in no file of a run."""

import logging
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from tests.warm import WarmProcess

from loomlab.entry.resume import with_recorded_overrides
from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.secrets import (
    MASK,
    MaskingFormatter,
    is_secret,
    masked,
    masked_override,
    masked_text,
    recordable,
)

FROM_ENVIRONMENT = "env-planted-4711-value"
IN_CONFIG = "config-planted-0815-value"
ON_COMMAND_LINE = "argv-planted-2342-value"
OPTION = '''
import logging

from loomlab.callbacks.samples import Samples


class Sender(Samples):
    """Would send samples somewhere."""

    def __init__(self, api_key: str = "", access_token: str = "", via: str = "") -> None:
        super().__init__(length=2)
        self.given = [api_key, access_token, via]

    def on_train_start(self, trainer, pl_module) -> None:
        logging.getLogger("loomlab").info("sending with %s", self.given)
        if "raise" in self.given[2]:
            raise RuntimeError(f"refused: {self.given}")
'''


@pytest.mark.parametrize(
    "name",
    [
        *("token", "hf_token", "HF_TOKEN", "GITHUB_TOKEN_2", "accessToken", "auth-token"),
        *("api_key", "WANDB_API_KEY", "apiKey", "APIKEY", "password", "DB_PASSWORD", "secret"),
        *("AWS_SECRET_ACCESS_KEY", "client_secret", "credential", "credentials", "private_key"),
    ],
)
def test_names_of_secrets(name: str):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("tokens", "tokens_per_step", "train/tokens_per_second", "max_tokens", "vocab_size"),
        *("pad_token_id", "eos_token_id", "eos_token", "mask_token", "tokenizer", "text_key"),
        *("tokenizer_hash", "TOKENIZERS_PARALLELISM", "token_file", "monkey", "key", "", "_"),
    ],
)
def test_names_of_other_things(name: str):
    assert not is_secret(name)


def test_values_are_masked_by_name_and_by_content(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_TOKEN", FROM_ENVIRONMENT)
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    node = {"a": {"api_key": "x1", "n": 3}, "l": ["y", f"has {FROM_ENVIRONMENT}"], "password": 5}
    assert masked(node) == {
        "a": {"api_key": MASK, "n": 3},
        "l": ["y", f"has {MASK}"],
        "password": MASK,
    }
    assert masked({"token": None, "secret": False}) == {"token": None, "secret": False}
    assert masked_text("abc stays") == "abc stays"
    assert masked_override("x.y.api_key=k") == f"x.y.api_key={MASK}"
    assert masked_override("optimizer.lr=1") == "optimizer.lr=1"


def test_what_reads_the_environment_stays_as_written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PLACE", "here")
    config = OmegaConf.create(
        {"a": "${oc.env:PLACE}", "b": "at ${a}", "c": 3, "d": "${c}", "e": [{"f": "${c}"}, "${a}"]}
    )
    record = recordable(config)
    assert record == {
        "a": "${oc.env:PLACE}", "b": "at ${a}", "c": 3, "d": 3, "e": [{"f": 3}, "${a}"],
    }  # fmt: skip
    assert OmegaConf.to_container(OmegaConf.create(record), resolve=True)["b"] == "at here"
    assert config.b == "at here", "the environment is read again afterwards"


def test_a_traceback_is_masked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_PASSWORD", FROM_ENVIRONMENT)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), None)
    try:
        raise ValueError(FROM_ENVIRONMENT)
    except ValueError:
        record.exc_info = sys.exc_info()
    line = MaskingFormatter(logging.Formatter()).format(record)
    assert "ValueError" in line
    assert FROM_ENVIRONMENT not in line


@pytest.fixture
def loom(tiny: Callable[..., list[str]], warm: Callable[..., WarmProcess], tmp_path: Path):
    """Train with an option of the user's that takes secrets; files in which they are found."""
    (tmp_path / "sender.py").write_text(OPTION)
    (tmp_path / "conf" / "callbacks").mkdir(parents=True)
    (tmp_path / "conf" / "callbacks" / "sender.yaml").write_text(
        "# @package callbacks.sender\ndefaults: [/schema/callbacks/sender@_here_, _self_]\n"
        f"_target_: sender.Sender\napi_key: {IN_CONFIG}\n"
    )

    def run(*more: str, flags: tuple[str, ...] = ()) -> tuple[int, list[tuple[str, str]]]:
        given = tiny("model.layers=1", "model.width=16", "model.heads=2")
        if "-m" in flags:
            given = [o for o in given if not o.startswith("paths.output_dir")]
        command = [
            *("train", *flags, "--config-dir", str(tmp_path / "conf")),
            *given,
            *("callbacks=[checkpoint,sender]", "logger=[csv,wandb]", "logger.wandb.mode=offline"),
            *(f"callbacks.sender.access_token={ON_COMMAND_LINE}",),
            *more,
        ]
        process = warm(command, tmp_path, {"THEIR_SECRET": FROM_ENVIRONMENT})
        _, errors = process.communicate()
        planted = (FROM_ENVIRONMENT, IN_CONFIG, ON_COMMAND_LINE)
        folders = [p for p in (tmp_path / "run", tmp_path / "swept") if p.is_dir()]
        files = [p for folder in folders for p in folder.rglob("*")]
        assert any(p.suffix == ".wandb" for p in files), errors
        found = [(str(p), s) for p in files if p.is_file() for s in planted
                 if s.encode() in p.read_bytes() or s in p.name]  # fmt: skip
        return process.returncode, found

    return run


@pytest.mark.parametrize(
    "via",
    [
        "${oc.env:THEIR_SECRET}",
        pytest.param("raise", marks=pytest.mark.soak),
        pytest.param("with ${oc.env:THEIR_SECRET} raise", marks=pytest.mark.slow),
    ],
)
def test_no_file_of_a_run_has_them(loom, tmp_path: Path, via: str):
    code, found = loom(f"callbacks.sender.via='{via}'")
    assert code == (1 if "raise" in via else 0)
    assert found == []
    log = (tmp_path / "run" / "train.log").read_text()
    assert "sending with" in log
    assert MASK in log
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["callbacks"]["sender"]["via"] == via
    assert config["callbacks"]["sender"]["api_key"] == MASK
    assert f"access_token={MASK}" in (tmp_path / "run" / "overrides.json").read_text()
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


@pytest.mark.slow
def test_no_file_of_a_sweep_has_them(loom, tmp_path: Path):
    other = ON_COMMAND_LINE.replace("2342", "9999")
    code, found = loom(
        f"paths.sweep_dir={tmp_path / 'swept'}",
        f"callbacks.sender.access_token={ON_COMMAND_LINE},{other}",
        flags=("-m",),
    )  # fmt: skip
    assert code == 0
    assert found == []
    swept = tmp_path / "swept"
    assert all(other.encode() not in p.read_bytes() for p in swept.rglob("*") if p.is_file())
    assert all("planted" not in p.name for p in swept.rglob("*"))
    assert stat.S_IMODE(swept.stat().st_mode) == 0o700


def test_a_secret_is_given_again_to_resume(tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    run.create(OmegaConf.create(), ["seed=1", f"callbacks.sender.access_token={ON_COMMAND_LINE}"])
    with pytest.raises(InputError, match=r"sender\.access_token was kept out of the record"):
        with_recorded_overrides([f"resume={run.path}"])
    again = "callbacks.sender.access_token=again"
    given = with_recorded_overrides([f"resume={run.path}", again])
    assert [o for o in given if "access_token" in o] == [again]
    assert "seed=1" in given
