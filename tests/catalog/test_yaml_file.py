"""What is no config is said in a sentence when it is chosen, and stops nobody else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.catalog.yaml_file import mapping

Said = Callable[..., str]
BAD: dict[str, tuple[bytes, str]] = {
    "broken": (b"lr: [1\nb: }", "is no YAML, line 2: expected ',' or ']'"),
    "listed": (b"- a\n- b\n", "holds no settings (key: value)"),
    "twice": (b"lr: 1\nlr: 2\n", "is no YAML, line 2: found duplicate key lr"),
    "latin": (b"name: caf\xe9\n", "is not UTF-8 at byte 9"),
    "tagged": (b"lr: !!python/object:os.x {}\n", "is no YAML, line 1: could not determine"),
}
IDLE = {  # never chosen, and nothing like what stands in conf/
    "my-sweeps/a.yaml": b"optimizer: adamw\n",
    "class/a.yaml": b"x: 1\n",
    "optimizer/number.yaml": b"defaults: 3\n",
    "optimizer/one.yaml": b"defaults: [two]\n",
    "optimizer/two.yaml": b"defaults: [one]\n",
    "optimizer/code.yaml": b"defaults: [/schema/optimizer/code@_here_]\n_target_: halfway.X\n",
    "optimizer/search/adamw.yaml": b"- [",
}


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ./conf with files of somebody who did not mean loomlab."""
    conf = tmp_path / "conf"
    files = {f"optimizer/{name}.yaml": content for name, (content, _) in BAD.items()} | IDLE
    for name, content in files.items():
        (conf / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / name).write_bytes(content)
    (conf / "optimizer" / "folder.yaml").mkdir()
    (conf / "optimizer" / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "halfway.py").write_text("class X(\n")
    monkeypatch.chdir(tmp_path)
    return conf


def test_only_what_is_chosen_is_read_strictly(
    foreign: Path, said: Said, capsys: pytest.CaptureFixture[str]
):
    from loomlab.entry.options import run

    assert said() == ""
    assert "did you mean adamw?" in said("optimizer=adamww")
    assert "objective=mlm needs" in said("objective=mlm"), "all models are looked through"
    for name, (_, why) in BAD.items():
        message = said(f"optimizer={name}").replace("could not be determined", "could not")
        assert f"{foreign}/optimizer/{name}.yaml: {why}; mend it" in message or why in message
        assert message.count("  - ") == 1
    assert "halfway.py cannot be read" in said("optimizer=code")
    assert "folder" not in Catalog(all_conf_dirs()).options["optimizer"]
    assert run(["optimizer"]) == 0
    listed = capsys.readouterr().out
    assert "(broken.yaml is no YAML, line 2" in listed
    assert "adamw " in listed


def test_a_blank_text_is_no_fault():
    assert mapping("# nothing\n") == ({}, "")
    assert mapping("a: 1") == ({"a": 1}, "")
    assert mapping("- a") == ({}, "holds no settings (key: value)")
