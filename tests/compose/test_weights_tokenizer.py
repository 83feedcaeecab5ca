"""Who names weights and no tokenizer gets the one that lies beside them."""

from pathlib import Path

import pytest
from tests.conftest import DATA

from loomlab.compose.gate import check

TEXT = ["corpus=text", f"corpus.path={DATA / 'alice.txt'}"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A run folder, of which the gate reads no more than which files there are."""
    for part in ("config.yaml", "tokenizer/tokenizer.json", "model/tokenizer.json"):
        (tmp_path / "run" / part).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / part).touch()
    return tmp_path / "run"


def added(*overrides: str) -> tuple[list[str], str]:
    """What a job is given, and the problems it has."""
    checked = check([*TEXT, *overrides])
    return checked.added[0], "\n".join(str(p) for p in checked.problems.get(0, []))


def test_weights_bring_their_tokenizer(weights: Path):
    taken = ["tokenizer=hf", f"tokenizer.name='{weights / 'tokenizer'}'"]
    assert added(f"init={weights}") == (taken, "")
    inner = ["tokenizer=hf", f"tokenizer.name='{weights / 'model'}'"]
    assert added("model=hf", f"model.name={weights / 'model'}") == (inner, "")
    hub = ["tokenizer=hf", "tokenizer.name='some/body'"]
    assert added("model=hf", "model.name=some/body") == (hub, "")
    config = check([*TEXT, f"init={weights}"]).only()
    assert config.tokenizer.name == str(weights / "tokenizer")
    assert config.hydra.runtime.choices.tokenizer == "hf"


def test_weights_may_lie_at_home(weights: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(weights.parent))
    own = ["tokenizer=hf", f"tokenizer.name='{weights / 'tokenizer'}'"]
    assert added("init='~/run'") == ([f"init='{weights}'", *own], "")
    (weights / "model" / "config.json").write_text('{"architectures": ["GPTForCausalLM"]}')
    for key, more in {
        "model.name": ["model=hf", "tokenizer=hf", f"tokenizer.name={weights / 'model'}"],
        "tokenizer.name": ["tokenizer=hf"],
        "compression.distill.teacher": ["compression=[distill]"],
    }.items():
        found, said = added(*more, f"{key}='~/run/model'")
        assert found == [f"{key}='{weights / 'model'}'"]
        assert str(weights) in said or said == "", "and is looked at there"


def test_a_chosen_tokenizer_stays(weights: Path, monkeypatch: pytest.MonkeyPatch):
    for chosen in ("tokenizer=byte_bpe", "tokenizer.vocab_size=500", "tokenizer=byte"):
        assert added(f"init={weights}", chosen) == ([], "")
    (weights / "experiment").mkdir()
    (weights / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ntokenizer: {vocab_size: 500}\n"
    )
    monkeypatch.setenv("LOOM_CONF", str(weights))
    assert added(f"init={weights}", "experiment=mine") == ([], "")


def test_nothing_is_taken_where_there_is_nothing(weights: Path, tmp_path: Path):
    (tmp_path / "bare").mkdir()
    assert added() == ([], "")
    assert added("model=hf", "model.architecture_type=gpt2") == ([], "")
    assert added(f"init={tmp_path / 'bare'}") == ([], "")
    assert added("model=hf", f"model.name={tmp_path / 'bare'}") == ([], "")
    assert added(f"resume={weights}", f"init={weights}") == ([], "")
    assert added("init=/no/such/run")[0] == []
    assert "needs its own tokenizer" in added(f"init={weights}", "model=minilm")[1]
