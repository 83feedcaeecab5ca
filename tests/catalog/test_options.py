"""What `loom options` and the preflight know of every option."""

from pathlib import Path

from loomlab.catalog.axes import AXES
from loomlab.catalog.options import Catalog, default_options
from loomlab.catalog.search import package_conf

CATALOG = Catalog([package_conf()])
EVERY = [(axis, option) for axis, found in CATALOG.options.items() for option in found]


def test_every_option_is_described_in_a_line():
    lines = {f"{axis}/{option}": CATALOG.describe(axis, option) for axis, option in EVERY}
    assert {k: v for k, v in lines.items() if not 10 < len(v) < 120 or "\n" in v} == {}


def test_first_sentence_is_not_cut_at_an_abbreviation():
    for axis, option in EVERY:
        line = CATALOG.describe(axis, option)
        assert not line.endswith(("et al.", "e.g.", "i.e."))
        assert line.count("(") == line.count(")"), line


def test_presets_are_read_through_to_their_class():
    source = CATALOG.source("model", "gpt_small")
    assert source is not None
    assert source.target == "loomlab.model.gpt.GPTConfig"
    assert CATALOG.preset("model", "gpt_small") == {"layers": 12, "width": 768, "heads": 12}
    assert CATALOG.preset("model", "gpt") == {}


def test_options_without_a_class_have_no_source():
    assert CATALOG.source("logger", "none") is None
    assert CATALOG.source("debug", "overfit") is None
    assert {"adamw", "muon", "sgd"} <= {p.option for p in CATALOG.picks("optimizer")}


def test_defaults_are_options_that_exist():
    for axis, option in default_options().items():
        assert option in CATALOG.options[axis]
    assert default_options()["model"] == "gpt"
    assert set(default_options()) <= {a.name for a in AXES}


def test_unreadable_class_of_a_user_is_passed_over(tmp_path: Path):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "broken.yaml").write_text("_target_: no.such.Thing\n")
    catalog = Catalog([package_conf(), tmp_path])
    assert "broken" in catalog.options["optimizer"]
    assert catalog.source("optimizer", "broken") is None
    assert "broken" not in [p.option for p in catalog.picks("optimizer")]
