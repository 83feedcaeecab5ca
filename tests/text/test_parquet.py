"""Parquet: every way to write a text column is read, and a fault is said with its place."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loomlab.errors import InputError
from loomlab.text.parquet import parquet_rows, read_parquet

TEXTS = ["a", None, "c", "a"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_every_kind_of_text_is_read(tmp_path, kind):
    column = pa.array(TEXTS).cast(kind) if "view" in str(kind) else pa.array(TEXTS, kind)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1, 2, 3, 4], "body": column}), path)
    assert pq.ParquetFile(path).schema_arrow.field("body").type == kind, "kept in the file"
    assert list(read_parquet(path, "body")) == ["a", "", "c", "a"]
    places = [(f"{path}, row {n}", {"body": text}) for n, text in enumerate(TEXTS, start=1)]
    assert list(parquet_rows(path, "body")) == places


def test_a_column_of_nulls_is_blank(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.nulls(2)}), path)
    assert list(read_parquet(path, "text")) == ["", ""]


def strings(*values):
    """A column of strings that holds any bytes, as careless writers make it."""
    buffers = pa.array(values, pa.binary()).buffers()
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def test_bytes_that_are_no_text_are_placed_or_replaced(tmp_path, caplog):
    path = tmp_path / "a.parquet"
    column = strings(*[b"fine"] * 1500, b"bad \xff", None, "\u00e9".encode())
    pq.write_table(pa.table({"text": column}), path)
    place = (
        r"a\.parquet, row 1501, byte 4 of the text: 0xff is not utf-8: .*corpus\.errors=replace"
    )
    for read in (read_parquet, parquet_rows):
        with pytest.raises(InputError, match=place):
            list(read(path, "text"))
    assert list(read_parquet(path, "text", "replace"))[1500:] == ["bad \ufffd", "", "\u00e9"]
    assert caplog.messages == [f"{path}: bytes that are not utf-8 were replaced"]
    lists = pa.ListArray.from_arrays(pa.array([0, 1]), strings(b"\xff"))
    pq.write_table(pa.table({"text": lists}), path)
    with pytest.raises(InputError, match=r"rows 1 to 1: text that is not UTF-8: fix the file"):
        list(parquet_rows(path, "text"))


def test_damaged_parquet_and_wrong_column_are_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1], "body": ["a"]}), path)
    with pytest.raises(InputError, match=r'no text column "text".*text columns: body'):
        list(read_parquet(path, "text"))
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match=r"a\.parquet cannot be read as Parquet"):
        list(read_parquet(path, "body"))
