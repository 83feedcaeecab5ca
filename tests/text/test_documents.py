"""Documents of a file: which reader, by the end of its name."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq

from loomlab.text.documents import file_documents

TEXT = "one\n\ntwo\n--\nthree\n"


def test_the_reader_follows_the_end_of_the_name(tmp_path, caplog):
    row = json.dumps({"body": TEXT}).encode()
    contents = {
        "a.txt": TEXT.encode(), "b.TXT.GZ": gzip.compress(TEXT.encode()),
        "c.Jsonl": row, "d.jsonl.gz": gzip.compress(row),
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    pq.write_table(pa.table({"body": [TEXT]}), tmp_path / "e.PARQUET")
    for name in (*contents, "e.PARQUET"):
        found = file_documents(tmp_path / name, "body", 100, "utf-8", "strict", "--")
        whole = "parquet" in name.lower() or "jsonl" in name.lower()
        assert list(found) == ([TEXT] if whole else ["one\n\ntwo", "three"]), name
    assert caplog.messages == [], "the separator is there"


def test_an_end_of_text_within_a_line_is_text(tmp_path, caplog):
    path = tmp_path / "a.txt"
    path.write_text("one <|endoftext|>\ntwo\n")
    assert list(file_documents(path, "", 99, "utf-8", "strict")) == [path.read_text().rstrip()]
    assert caplog.messages == []
