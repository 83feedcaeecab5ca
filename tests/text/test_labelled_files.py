"""Labelled files: each kind gives the same rows, and a fault is said with its place."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loomlab.errors import InputError
from loomlab.text.labelled_files import LabelledFiles

ROWS = [
    {"text": 'He said "no", twice.', "label": "bad"},
    {"text": "Two\nlines", "label": "good"},
    {"text": "three", "label": "bad"},
    {"text": "four", "label": "good"},
]
CSV = 'text,label\n"He said ""no"", twice.",bad\n"Two\nlines",good\nthree,bad\nfour,good\n'


def write(folder: Path, kind: str) -> Path:
    path = folder / f"rows{kind}"
    content = {
        ".csv": CSV,
        ".tsv": CSV.replace(",good", "\tgood").replace(",bad", "\tbad").replace("t,l", "t\tl"),
        ".jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    }
    if kind == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif kind.endswith(".gz"):
        path.write_bytes(gzip.compress(content[kind.removesuffix(".gz")].encode()))
    else:
        path.write_text(content[kind], encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "kind", [".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet"]
)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, kind: str):
    source = LabelledFiles(str(write(tmp_path, kind)), validation_every=3)
    assert list(source.texts("train")) == [ROWS[n]["text"] for n in (0, 1, 3)]
    assert list(source.texts("validation")) == ["three"]
    assert [row.labels for row in source.labels("train")] == [("bad",), ("good",), ("good",)]
    assert [row.labels for row in source.labels("validation")] == [("bad",)]
    assert all(row.place.startswith(f"{tmp_path}/rows") for row in source.labels("train"))


def test_suffixes_count_in_any_case(tmp_path: Path):
    for kind in (".tsv", ".jsonl.gz", ".parquet"):
        path = write(tmp_path, kind)
        path.rename(path.with_name(path.name.upper()))
    source = LabelledFiles(str(tmp_path), validation_every=99)
    assert list(source.texts("train")) == [row["text"] for row in ROWS] * 3


def test_files_of_their_own_are_held_out(tmp_path: Path):
    write(tmp_path, ".csv")
    test = tmp_path / "test.csv"
    test.write_text("text,label\nheld out,good\n")
    source = LabelledFiles(str(tmp_path), validation_path=str(test))
    assert list(source.texts("train")) == [row["text"] for row in ROWS], "not what is held out"
    assert list(source.texts("validation")) == ["held out"]
    (tmp_path / "link").symlink_to(tmp_path)
    linked = LabelledFiles(str(tmp_path), validation_path=str(tmp_path / "link" / "test.csv"))
    assert list(linked.texts("train")) == [row["text"] for row in ROWS], "by another name"
    with pytest.raises(InputError, match=r"corpus\.validation_path=.* holds out every file"):
        list(LabelledFiles(str(tmp_path), validation_path=str(tmp_path)).texts("train"))


def test_several_labels(tmp_path: Path):
    lists, cells = tmp_path / "a.jsonl", tmp_path / "b.csv"
    lists.write_text('{"text": "x", "label": ["a", 2]}\n{"text": "y", "label": []}\n')
    cells.write_text("text,label\nx,a| 2 |a\ny,\n")
    for path, separator in ((lists, None), (cells, "|")):
        source = LabelledFiles(str(path), separator=separator, validation_every=9)
        assert [row.labels for row in source.labels("train")] == [("a", "2"), ()]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text,label\nx,\n", r"a\.csv, line 2: no label at \"label\": give the row one"),
        ("a.jsonl", '{"text": "x", "label": null}', r"a\.jsonl, line 1: no label at"),
        ("a.jsonl", '{"text": "x", "label": 0.5}', r"is 0\.5, .* objective=regression"),
        (
            "a.jsonl",
            '{"text": "x", "stars": 1}',
            r"no \"label\": set corpus\.text_key and .*stars",
        ),
        ("a.csv", "text,stars\nx,1\n", r"there is no \"label\": .* \(there are: text, stars\)"),
        ("a.csv", "text,label\nx,y,z\n", r"line 2: more or fewer cells than the 2 columns"),
        ("a.csv", 'text,label\n"x" y,z\n', r"after line 1: no sound row .*: fix it"),
    ],
    ids=str,
)
def test_a_fault_is_said_with_its_place(tmp_path: Path, name: str, content: str, words: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        list(LabelledFiles(str(tmp_path / name), validation_every=9).labels("train"))


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_files_without_a_row_are_named(tmp_path: Path, kind: str):
    path = tmp_path / f"a{kind}"
    if kind == ".parquet":
        pq.write_table(pa.table({"text": pa.array([], "string"), "label": []}), path)
    else:
        path.write_text({".csv": "text,label\n", ".tsv": "text\tlabel\n"}.get(kind, "\n"))
    source = LabelledFiles(str(path), validation_every=9)
    for rows in (source.labels("train"), source.texts("train"), source.numbers("validation")):
        with pytest.raises(InputError, match=rf"a\{kind}: no row is there, .*: give rows of a"):
            list(rows)
    full = tmp_path / "b.csv"
    full.write_text(CSV)
    assert len(list(LabelledFiles(str(tmp_path), validation_every=9).labels("train"))) == 4
    held_out = LabelledFiles(str(full), validation_path=str(path))
    assert len(list(held_out.labels("train"))) == 4
    with pytest.raises(InputError, match=rf"a\{kind}: no row is there"):
        list(held_out.labels("validation"))


def test_many_files_without_a_row_are_named_as_far_as_they_fit(tmp_path: Path):
    for number in range(5):
        (tmp_path / f"{number}.csv").write_text("text,label\n")
    with pytest.raises(InputError, match=r"0\.csv, .*1\.csv, .*2\.csv and 2 more: no row"):
        list(LabelledFiles(str(tmp_path)).labels("train"))


def test_numbers_of_every_kind_of_file(tmp_path: Path):
    rows = [{"text": "x", "label": [1, 2.5]}, {"text": "y", "label": [2, 2.5]}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("text,label\nx,1|2.5\ny,2|2.5\n")
    for path in sorted(tmp_path.iterdir()):
        source = LabelledFiles(str(path), separator="|", validation_every=9)
        assert [row.values for row in source.numbers("train")] == [(1, 2.5), (2, 2.5)]


def test_rows_mean_the_same_in_json_and_parquet(tmp_path: Path):
    rows = [{"text": None, "label": "a"}, {"text": "x", "label": "b"}, {"text": "y", "label": "b"}]
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = pa.Table.from_pylist(rows)
    for name in ("text", "label"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].dictionary_encode())
    pq.write_table(table, tmp_path / "a.parquet")
    for path in (lines, tmp_path / "a.parquet"):
        source = LabelledFiles(str(path), validation_every=9)
        assert list(source.texts("train")) == ["", "x", "y"]
        assert [row.labels for row in source.labels("train")] == [("a",), ("b",), ("b",)]


def test_halves_of_characters_are_refused_or_replaced(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(r'{"text": "x\ud83d", "label": ["a", "b\udfff"]}')
    strict = LabelledFiles(str(path), validation_every=9)
    for rows in (strict.texts("train"), strict.labels("train")):
        with pytest.raises(InputError, match=r"a\.jsonl, line 1: .ud.* is half of a surrogate"):
            list(rows)
    replaced = LabelledFiles(str(path), validation_every=9, errors="replace")
    assert list(replaced.texts("train")) == ["x\ufffd"]
    assert [row.labels for row in replaced.labels("train")] == [("a", "b\ufffd")]


def test_a_missing_column_of_parquet_is_named(tmp_path: Path):
    path = write(tmp_path, ".parquet")
    with pytest.raises(InputError, match=r'there is no "body": .* \(there are: text, label\)'):
        list(LabelledFiles(str(path), text_key="body").texts("train"))


def test_the_fingerprint_follows_files_and_settings(tmp_path: Path):
    path = str(write(tmp_path, ".csv"))
    same, other = LabelledFiles(path), LabelledFiles(path, label_key="stars")
    assert same.fingerprint() == LabelledFiles(path).fingerprint()
    test = tmp_path / "held_out.csv"
    test.write_text(CSV)
    settings = {"text_key": "body", "separator": "|", "validation_path": str(test),
                "validation_every": 9, "encoding": "latin-1", "errors": "replace"}  # fmt: skip
    every = [same, other, *(LabelledFiles(path, **{key: settings[key]}) for key in settings)]
    assert len({source.fingerprint() for source in every}) == 8
    write(tmp_path, ".csv").write_text(CSV + "five,good\n")
    assert same.fingerprint() != other.fingerprint()
    assert LabelledFiles(path).fingerprint() == same.fingerprint()


def test_the_fingerprint_follows_what_files_are_read_as_and_for(tmp_path: Path):
    for name in ("a.csv", "b.csv", "c.csv", "a.tsv"):
        (tmp_path / name).write_text("text\tlabel,label\n")
    paths = [("a.csv", None), ("a.tsv", None), ("a.csv", "[bc].csv"), ("[ab].csv", "c.csv")]
    found = {
        LabelledFiles(
            f"{tmp_path}/{path}", validation_path=held_out and f"{tmp_path}/{held_out}"
        ).fingerprint()
        for path, held_out in paths
    }
    assert len(found) == 4
