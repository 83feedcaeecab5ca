"""Arguments that all verbs know."""

import os
from pathlib import Path

import pytest

from loomlab.entry import study
from loomlab.entry.arguments import with_config_dirs
from loomlab.entry.cli import main
from loomlab.errors import InputError


@pytest.mark.parametrize("form", [["--config-dir", "{}"], ["--config-dir={}"], ["-cd", "{}"]])
def test_a_folder_of_options_joins_those_of_the_environment(
    form: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOM_CONF", "/one")
    given = ["seed=1", *(part.format(".") for part in form), "--json"]
    assert with_config_dirs(given) == ["seed=1", "--json"]
    assert os.environ["LOOM_CONF"] == f"/one{os.pathsep}{tmp_path}"
    assert with_config_dirs(["seed=1"]) == ["seed=1"]


def test_a_verb_that_is_no_hydra_app_knows_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LOOM_CONF", "")
    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "optimizer" / "striding.yaml").write_text(
        "_target_: torch.optim.SGD\nlr: 0.25\n"
    )
    for arguments, there in ((["--config-dir", str(tmp_path / "conf")], True), ([], False)):
        monkeypatch.setenv("LOOM_CONF", "")
        with pytest.raises(SystemExit) as end:
            main(["options", *arguments, "optimizer"])
        assert end.value.code == 0
        assert ("striding" in capsys.readouterr().out) == there


def test_what_may_be_left_out_is_not_asked_for():
    with pytest.raises(InputError, match=r"required: name; see `loom study --help`"):
        study.parser().parse_args([])
    assert study.parser().parse_args(["quickstart"]).overrides == []
