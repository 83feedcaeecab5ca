"""Files of tagged words: each kind gives the same rows, and a fault is said with its place."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loomlab.errors import InputError
from loomlab.text.tagged_files import TaggedFiles

ROWS = [
    {"tokens": ["EU", "rejects", "German", "call"], "tags": ["B-ORG", "O", "B-MISC", "O"]},
    {"tokens": ["Peter", "Blackburn"], "tags": ["B-PER", "I-PER"]},
]
CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O

-DOCSTART- -X- -X- O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


def write(folder: Path, kind: str) -> Path:
    path = folder / f"rows{kind}"
    plain = kind.removesuffix(".gz")
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    content = (lines if plain == ".jsonl" else CONLL).encode()
    if kind == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    return path


@pytest.mark.parametrize(
    "kind", [".jsonl", ".jsonl.gz", ".parquet", ".conll", ".conll.gz", ".txt"]
)
def test_every_kind_gives_the_same(tmp_path: Path, kind: str):
    source = TaggedFiles(str(write(tmp_path, kind)), validation_every=9)
    assert list(source.words("train")) == [row["tokens"] for row in ROWS]
    assert list(source.texts("train")) == [" ".join(row["tokens"]) for row in ROWS]
    assert [list(row.labels) for row in source.labels("train")] == [row["tags"] for row in ROWS]


def test_rows_are_held_out_whole(tmp_path: Path):
    source = TaggedFiles(str(write(tmp_path, ".conll")), validation_every=2)
    assert list(source.texts("validation")) == ["Peter Blackburn"]
    (found,) = source.labels("validation")
    assert (found.labels, found.place) == (("B-PER", "I-PER"), f"{source.path}, line 10")


def test_columns_may_be_told_apart_by_tabs_and_labels_be_numbers(tmp_path: Path):
    path = tmp_path / "a.bio"
    path.write_text("New York\tB-LOC\r\n.\tO\r\n\r\n")
    assert list(TaggedFiles(str(path)).words("train")) == [["New York", "."]]
    path = tmp_path / "a.jsonl"
    path.write_text('{"w": ["a", "b"], "t": [3, 0]}\n')
    (found,) = TaggedFiles(str(path), "w", "t").labels("train")
    assert found.labels == ("3", "0")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}\n',
         r'a\.jsonl, line 1: 2 words at "tokens" and 1 labels at "tags": give each word one'),
        ("a.jsonl", '{"tokens": ["a"], "ner": ["O"]}\n',
         r'a\.jsonl, line 1: there is no "tags": set corpus\.text_key and corpus\.label_key'),
        ("a.jsonl", '{"tokens": "a b", "tags": ["O"]}\n', '"tokens" is str, not a list'),
        ("a.jsonl", '{"tokens": ["a"], "tags": [null]}\n', "no label at"),
        ("a.conll", "a O\nb\n", r"a\.conll, line 2: 'b' alone, where a line is a word and its"),
    ],
)  # fmt: skip
def test_faults_have_their_place(tmp_path: Path, name: str, content: str, words: str):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        list(TaggedFiles(str(path)).labels("train"))


def test_a_word_is_text(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"tokens": ["a", 1], "tags": ["O", "O"]}\n')
    with pytest.raises(InputError, match=r'a\.jsonl, line 1: 1 at "tokens" is int, not a word'):
        list(TaggedFiles(str(tmp_path / "a.jsonl")).texts("train"))


def test_files_without_a_row_are_named(tmp_path: Path):
    path = tmp_path / "a.conll"
    path.write_text("-DOCSTART- O\n\n")
    for rows in (TaggedFiles(str(path)).labels("train"), TaggedFiles(str(path)).texts("train")):
        with pytest.raises(InputError, match=r"a\.conll: no row is there"):
            list(rows)
