"""Any text arrives as it is, through Hydra's grammar and a shell's."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from loomlab.entry.resume import value_of
from loomlab.quoting import override, to_type
from loomlab.run.folder import OLD_OVERRIDES, OVERRIDES, RunFolder

TEXTS = (
    *("plain", "/a/b-c_1.d", "it's", 'say "so"', "a b", "a=b", "a,b", "[x]", "{x: 1}", "x(1)"),
    *("null", "true", "1e5", "back\\slash", "ends in \\", "\\' both", "new\nline", "a\u2028b"),
    *("#x", "~/x", "50%", "a:b", "\u00fc"),
)


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_hydra_reads_what_was_quoted(text: str):
    parsed = OverridesParser.create().parse_override(override("paths.output_dir", text))
    assert parsed.key_or_group == "paths.output_dir"
    assert parsed.value() == text
    assert value_of(override("resume", text)) == text


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_what_is_told_to_type_works_in_a_shell(text: str):
    (word,) = shlex.split(to_type("resume", text))
    assert value_of(word) == text


def test_what_needs_no_quotes_has_none():
    assert to_type("resume", "outputs/2026-01-31/12-00-00-gpt") == (
        "resume=outputs/2026-01-31/12-00-00-gpt"
    )


def test_a_run_in_any_folder_is_gone_on_with(
    tiny: Callable[..., list[str]], tmp_path: Path, ended: Callable[..., tuple[int, str]]
):
    folder = RunFolder(tmp_path / "it's a\nrun\u2028of mine, [c]")
    small = ["model.layers=1", "model.width=16", "model.heads=2", "callbacks=[checkpoint,samples]"]
    given = [o for o in tiny(*small) if not o.startswith("paths.output_dir")]
    note = override("callbacks.samples.prompt", "it's\nmine")
    where = override("paths.output_dir", folder.path)
    code, said = ended("train", *given, note, where)
    assert code == 0, said
    assert note in folder.overrides()
    code, said = ended("train", override("resume", folder.path), "budget.steps=3")
    assert code == 0, said
    assert folder.summary()["steps"] == 3


def test_runs_of_before_are_read(tmp_path: Path):
    (tmp_path / OLD_OVERRIDES).write_text("seed=1\nmodel=gpt\n")
    assert RunFolder(tmp_path).overrides() == ["seed=1", "model=gpt"]
    (tmp_path / OVERRIDES).write_text(json.dumps(["seed=2"]))
    assert RunFolder(tmp_path).overrides() == ["seed=2"]
