"""The README shows what is there, and what it tells to type works."""

import re
import shlex
from pathlib import Path

import pytest
from transformers import GPT2Config

from loomlab.compose.gate import check
from loomlab.entry import options
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.sweep.plan import plan

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPTION = ROOT / "experiments" / "own_option"
SHOWN = {
    "focal.py": OPTION / "focal.py",
    "focal.yaml": OPTION / "conf" / "objective" / "focal.yaml",
}
CHECKED = ("train", "validate", "options")


def between(name: str) -> str:
    """What stands between the markers of a block, without its fence."""
    found = re.findall(rf"<!-- {re.escape(name)}: begin -->\n(.*?)<!-- {re.escape(name)}: end -->",
                       README, flags=re.DOTALL)  # fmt: skip
    assert len(found) == 1, f"one block called {name}"
    lines = found[0].strip().splitlines()
    if lines and lines[0].startswith("```"):
        assert lines[-1] == "```"
        lines = lines[1:-1]
    return "\n".join(lines).strip()


def recipe_commands() -> list[str]:
    """Every `loom ...` command of the table of recipes."""
    table = README.partition("## Recipes")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return [c for row in rows for c in re.findall(r"`(loom [^`]*)`", row)]


COMMANDS = [c for c in recipe_commands() if c.split()[1] in CHECKED]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with what the README speaks of; composing remembers within one folder."""
    place = tmp_path_factory.mktemp("place")
    for folder in ("texts", "run"):
        (place / folder).mkdir()
    (place / "texts" / "one.txt").write_text("a text\n")
    (place / "reviews.csv").write_text("text,stars\n" + "fine,5\nawful,1\n" * 40)
    (place / "ner.conll").write_text("Ada B-PER\nslept O\n\n" * 20)
    (place / "wikitext").mkdir()
    (place / "wikitext" / "train.jsonl").write_text('{"text": "a text"}\n')
    tiny = {"n_layer": 1, "n_head": 2, "n_embd": 16}
    sizes = {"config": tiny, "vocab_size": 50, "context_length": 24}
    trained = HFModel(architecture_type="gpt2", **sizes).build("causal_lm")
    trained.save_pretrained(place / "checkpoint")
    GPTConfig(layers=1, width=16, heads=2).build("causal_lm").save_pretrained(place / "run/model")
    GPT2Config().save_pretrained(place / "gpt2")  # a gate reads no weights
    return place


@pytest.fixture
def placed(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the paths of the README stand for, as real things."""
    monkeypatch.chdir(place)
    return {
        "my/folder": str(place / "texts"),
        "RUN_DIR": str(place / "run"),
        "/data/wikitext": str(place / "wikitext"),
        "my/checkpoint": str(place / "checkpoint"),
        "openai-community/gpt2": str(place / "gpt2"),
        "outputs/2026-01-31/12-00-00-gpt-clm": str(place / "run"),
    }


@pytest.mark.parametrize("name", SHOWN)
def test_files_are_shown_as_they_are(name: str):
    assert between(name) == SHOWN[name].read_text(encoding="utf-8").strip()


def test_the_matrix_is_what_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOOM_CONF", raising=False)
    assert options.run(["--matrix"]) == 0
    assert between("matrix") == capsys.readouterr().out.strip()


def test_commands_that_measure_again_name_tests_that_are_there():
    texts = [README, *(p.read_text(encoding="utf-8") for p in (ROOT / "docs").glob("*.md"))]
    named = {name for text in texts for name in re.findall(r"\btests/[\w/]+(?:\.py)?", text)}
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_recipes_are_found():
    verbs = {command.split()[1] for command in recipe_commands()}
    assert verbs >= {"train", "validate", "options", "evaluate", "generate", "fill"}
    assert len(COMMANDS) >= 12


@pytest.mark.parametrize("command", COMMANDS)
def test_a_recipe_is_accepted(
    command: str, placed: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    for stated, real in placed.items():
        command = command.replace(stated, real)
    _, verb, *arguments = shlex.split(command)
    if verb == "options":
        assert options.run(arguments) == 0
        assert capsys.readouterr().out.strip()
        return
    overrides = [a for a in arguments if a != "-m"]
    checked = plan(overrides).checked if "-m" in arguments else check(overrides)
    assert not checked.problems, checked.message()
