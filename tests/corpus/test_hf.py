"""Corpus `hf`: folders in hub layout, through the code that reads what the hub gives."""

import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.gate import check
from loomlab.corpus.hf import HF
from loomlab.corpus.hf_check import problems
from loomlab.errors import InputError
from loomlab.tokenizer.byte import Byte

ROWS = [f"row {number} has words" for number in range(60)]


def make(tmp_path, **settings):
    run_time = {"sequence_length": 16, "batch_size": 2, "seed": 1}
    return HF(**settings, tokenizer=Byte(), cache_dir=tmp_path / "cache", **run_time)


def both(corpus):
    return [list(corpus.documents(split)) for split in ("train", "validation")]


def parquet(path, rows, key="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({key: rows}), path)


@pytest.fixture
def wikitext(tmp_path):
    """Two configurations with two training files, a validation and a test file each."""
    folder = tmp_path / "wikitext"
    for config in ("small-v1", "large-v1"):
        mark = f"{config}: "
        for number in (0, 1):
            rows = [mark + row for row in ROWS[number * 20 : number * 20 + 20]]
            parquet(folder / config / f"train-0000{number}-of-00002.parquet", rows)
        rows = [mark + row for row in ROWS[40:50]]
        parquet(folder / config / "validation-00000-of-00001.parquet", rows)
        parquet(folder / config / "test-00000-of-00001.parquet", ["never read"])
    return str(folder)


def test_a_configuration_has_its_own_validation_split(tmp_path, wikitext):
    train, validation = both(make(tmp_path, path=wikitext, config="small-v1"))
    assert train == [f"small-v1: {row}" for row in ROWS[:40]]
    assert validation == [f"small-v1: {row}" for row in ROWS[40:50]]


def test_it_is_tokenized_and_opened(tmp_path, wikitext):
    corpus = make(tmp_path, path=wikitext, config="small-v1")
    corpus.prepare_data()
    corpus.setup()
    assert corpus.train_tokens.manifest.documents == 40
    assert corpus.validation_tokens.manifest.documents == 10
    assert corpus.train_tokens.manifest.bytes == sum(len(f"small-v1: {r}") for r in ROWS[:40])


def test_without_a_validation_split_every_nth_is_held_out(tmp_path, wikitext):
    settings = {"path": wikitext, "config": "small-v1", "validation_split": None}
    train, validation = both(make(tmp_path, **settings, validation_every=4))
    assert len(train) == 30
    assert validation == [f"small-v1: {row}" for row in ROWS[3:40:4]]


def test_max_documents_caps_both_splits_in_proportion(tmp_path, wikitext):
    settings = {"path": wikitext, "config": "small-v1", "validation_every": 4}
    train, validation = both(make(tmp_path, **settings, max_documents=30))
    assert (len(train), len(validation)) == (30, 8)
    train, validation = both(make(tmp_path, **settings, max_documents=30, validation_split=None))
    assert (len(train), len(validation)) == (23, 7)


def test_files_after_the_cap_are_not_opened(tmp_path, wikitext):
    (tmp_path / "wikitext" / "small-v1" / "train-00001-of-00002.parquet").write_bytes(b"broken")
    corpus = make(tmp_path, path=wikitext, config="small-v1", max_documents=20)
    assert len(list(corpus.documents("train"))) == 20
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        list(make(tmp_path, path=wikitext, config="small-v1").documents("train"))


def test_gzipped_json_lines_as_in_c4(tmp_path):
    lines = "".join(json.dumps({"text": row, "url": "x"}) + "\n" for row in ROWS)
    folder = tmp_path / "c4" / "en"
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        file = folder / f"c4-{split}.00000-of-00001.json.gz"
        file.write_bytes(gzip.compress(lines.encode()))
    assert both(make(tmp_path, path=str(tmp_path / "c4"), config="en")) == [ROWS, ROWS]


def test_rows_that_are_lines_become_passages(tmp_path):
    rows = ["", " = Title = \n", "", " First paragraph . \n", "", " Second paragraph . \n"]
    parquet(tmp_path / "d" / "train-0.parquet", rows * 300)
    settings = {"path": str(tmp_path / "d"), "rows": "lines", "passage_bytes": 100}
    train, validation = both(make(tmp_path, **settings))
    assert train[0].startswith(" = Title =\n\n First paragraph .\n\n Second paragraph .")
    assert max(map(len, train)) <= 100
    assert 0 < len(validation) < len(train) < 600


def test_text_that_is_not_utf_8_is_placed_or_replaced(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train-0.jsonl").write_text(r'{"text": "a\ud83d"}')
    path = str(tmp_path / "d")
    with pytest.raises(InputError, match=r"train-0\.jsonl, line 1: .ud83d is half of .*replace"):
        both(make(tmp_path, path=path))
    replaced = make(tmp_path, path=path, errors="replace")
    assert both(replaced) == [["a\ufffd"], []]
    assert replaced.fingerprint() != make(tmp_path, path=path).fingerprint()


def test_another_key_and_its_mistake(tmp_path):
    parquet(tmp_path / "d" / "train-0.parquet", ROWS, key="body")
    path = str(tmp_path / "d")
    assert len(both(make(tmp_path, path=path, text_key="body"))[0]) == 57
    with pytest.raises(InputError, match=r"no text column \"text\": set corpus\.text_key .*body"):
        both(make(tmp_path, path=path))


def test_fingerprint_follows_content_and_settings(tmp_path, wikitext):
    def of(**changes):
        return make(tmp_path, **{"path": wikitext, "config": "small-v1", **changes}).fingerprint()

    prints = {of(), of(config="large-v1"), of(max_documents=9), of(rows="lines"),
              of(validation_split=None), of(text_key="other")}  # fmt: skip
    assert len(prints) == 6
    before = of()
    assert of() == before
    parquet(tmp_path / "wikitext" / "small-v1" / "train-00000-of-00002.parquet", ["new"])
    assert of() != before


def test_a_name_never_means_a_folder(tmp_path, wikitext, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"\./wikitext is corpus\.path=wikitext"):
        make(tmp_path, name="wikitext").fetch()


def test_an_unreachable_hub_is_said_in_about_a_second(tmp_path, unreachable_hub):
    with pytest.raises(InputError, match=r"corpus\.path=/path/to/folder, or choose corpus=guten"):
        make(tmp_path, name="Salesforce/wikitext").prepare_data()
    assert unreachable_hub == [1.0], "asked once, for a second"
    assert [f for f in (tmp_path / "cache" / "hub").iterdir() if f.is_dir()] == []


DEFAULTS = {"train_split": "train", "validation_split": "validation"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "exactly one of corpus.name"),
        ({"name": "a/b", "path": "c"}, "exactly one of corpus.name"),
        ({"name": "./wikitext"}, "name: ./wikitext is no name of the hub: .*corpus.path"),
        ({"name": "/data/a/b"}, "for a local folder set corpus.path=/data/a/b"),
        ({"path": "nothing/here"}, "path: nothing/here is no folder"),
    ],
)
def test_problems_are_found_without_reading(settings, words, tmp_path):
    (problem,) = problems({**DEFAULTS, **settings})
    assert re.search(words, problem)


def test_problems_of_a_folder(wikitext):
    (problem,) = problems({**DEFAULTS, "path": wikitext})
    assert "set config to one of large-v1, small-v1" in problem
    assert problems({**DEFAULTS, "path": wikitext, "config": "small-v1"}) == []
    assert problems({**DEFAULTS, "name": "Salesforce/wikitext"}) == []


@pytest.mark.parametrize("preset", ["wikitext103", "bookcorpus", "c4", "openwebtext"])
def test_presets_name_a_dataset_of_the_hub(preset, tmp_path, monkeypatch):
    monkeypatch.setenv("LOOM_CACHE", str(tmp_path))
    settings = Catalog(all_conf_dirs()).preset("corpus", preset)
    assert re.fullmatch(r"[\w-]+/[\w-]+", settings["name"])
    (problem,) = check([f"corpus={preset}"]).problems[0]
    assert "is not in the local cache and the hub cannot be reached" in problem.what


def test_a_preset_and_a_path_are_one_too_many():
    (problem,) = check(["corpus=wikitext103", "corpus.path=/data"]).problems[0]
    assert "exactly one of corpus.name" in problem.what
