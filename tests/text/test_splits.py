"""Files of a dataset: the layouts of real repositories, and what is refused."""

import pytest

from loomlab.errors import InputError
from loomlab.text.splits import split_files

WIKITEXT = [
    f"wikitext-{size}-raw-v1/{split}-00000-of-00001.parquet"
    for size in (2, 103)
    for split in ("train", "validation", "test")
] + ["README.md", ".gitattributes"]
C4 = [
    "en/c4-train.00000-of-01024.json.gz",
    "en/c4-validation.00000-of-00008.json.gz",
    "en.noblocklist/c4-train.00000-of-01024.json.gz",
    "multilingual/c4-af.tfrecord-00000-of-00064.json.gz",
]
BOOKS = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "README.md"]


def find(files, config=None, train="train", validation="validation"):
    return split_files(files, config, train, validation)


@pytest.mark.parametrize(
    ("files", "config", "train", "validation"),
    [
        (WIKITEXT, "wikitext-103-raw-v1", WIKITEXT[3:4], WIKITEXT[4:5]),
        (C4, "en", C4[:1], C4[1:2]),
        (BOOKS, None, BOOKS[:2], []),
        (["plain_text/train/0001.parquet", "plain_text/train/0000.parquet"], None,
         ["plain_text/train/0000.parquet", "plain_text/train/0001.parquet"], []),
        (["a.jsonl", "b.jsonl.gz", "dataset_infos.json"], None, ["a.jsonl", "b.jsonl.gz"], []),
        (["training.json", "dev.json", "test.json"], None, ["training.json"], ["dev.json"]),
        (["DEV.JSONL", "Train.Jsonl.GZ"], None, ["Train.Jsonl.GZ"], ["DEV.JSONL"]),
        (["train.json", "train.parquet"], None, ["train.parquet"], []),
        (["train.parquet", ".cache/train.parquet", "_old/train.parquet"], None,
         ["train.parquet"], []),
    ],
)  # fmt: skip
def test_files_of_a_split(files, config, train, validation):
    assert find(files, config) == {"train": train, "validation": validation}


def test_a_name_is_a_whole_word():
    files = ["pretrain-0.parquet", "latest-0.parquet", "revalidation.parquet"]
    assert find(files) == {"train": sorted(files), "validation": []}


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("train", ("train", "training")),
        ("validation", ("validation", "valid", "val", "dev")),
        ("test", ("test", "testing", "eval", "evaluation")),
    ],
)
def test_a_split_goes_by_several_names(split, words):
    for word in words:
        files = [f"data/{word}-0.parquet", "data/other-0.parquet"]
        assert find(files, train=split, validation=None)["train"] == files[:1]


def test_files_about_a_dataset_hold_no_rows():
    about = ["dataset_infos.json", "dataset_info.json", "state.json", "config.json"]
    assert find(["a.json", *about])["train"] == ["a.json"]


def test_other_splits_can_be_named():
    assert find(WIKITEXT, "wikitext-2-raw-v1", "test", "train")["train"] == [WIKITEXT[2]]
    assert find(C4, "en/", validation=None) == {"train": C4[:1], "validation": []}
    held_out = find(["a.jsonl", "holdout.jsonl"], validation="holdout")
    assert held_out == {"train": ["a.jsonl"], "validation": ["holdout.jsonl"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((["README.md", "a.arrow"],), r"there is no \.parquet, \.jsonl"),
        ((WIKITEXT,), "set config to one of wikitext-103-raw-v1, wikitext-2-raw-v1"),
        ((WIKITEXT, "wikitext-103"), "did you mean wikitext-103-raw-v1"),
        ((BOOKS, None, "tran"), "no file is of split tran: set train_split"),
        ((BOOKS, None, "train", "holdout"), "no file is of split holdout: set validation_split"),
        ((["test-0.parquet"],), "no file is of split train"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(InputError, match=words):
        find(*arguments)
