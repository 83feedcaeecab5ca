"""Corpus `text`: exact bytes, every kind of file, blank text, fingerprints."""

import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loomlab.errors import InputError
from loomlab.text.files import path_problems

DATA = Path(__file__).parents[1] / "data"


def both(corpus):
    return [list(corpus.documents(split)) for split in ("train", "validation")]


def test_train_and_validation_are_the_text(opened):
    corpus = opened()
    train, validation = both(corpus)
    text = "".join((DATA / name).read_text() for name in ("alice.txt", "moby_dick.txt"))
    characters = sum(len("".join(passage.split())) for passage in train + validation)
    assert characters == len("".join(text.split()))
    assert not set(train) & set(validation)
    assert len(validation) == (len(train) + len(validation)) // 20
    for passages, file in ((train, corpus.train_tokens), (validation, corpus.validation_tokens)):
        assert file.manifest.bytes == sum(len(passage.encode()) for passage in passages)
        assert file.manifest.documents == len(passages)


def test_split_does_not_depend_on_the_seed(make):
    assert both(make(seed=1)) == both(make(seed=2))


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "parquet"])
def test_a_row_is_a_document(make, tmp_path, kind):
    rows = [f"document {number}\n\nwith two paragraphs" for number in range(40)]
    path = tmp_path / f"rows.{kind}"
    data = "".join(json.dumps({"body": row}) + "\n" for row in rows).encode()
    if kind == "parquet":
        pq.write_table(pa.table({"body": rows}), path)
    else:
        path.write_bytes(gzip.compress(data) if kind.endswith("gz") else data)
    train, validation = both(make(path=str(path), text_key="body"))
    assert validation == [rows[19], rows[39]]
    assert train == rows[:19] + rows[20:39]


def test_a_folder_mixes_kinds_in_path_order(make, tmp_path):
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"from text\n"))
    (tmp_path / "a.jsonl").write_text('{"text": "from rows"}\n')
    (tmp_path / "c.TXT").write_text("from capitals\n")
    assert both(make(path=str(tmp_path)))[0] == ["from rows", "from text", "from capitals"]


def test_one_process_says_what_is_left_out(make, tmp_path, caplog):
    for name in ("a.txt", "b.md"):
        (tmp_path / name).write_text("text\n")
    make(path=str(tmp_path), rank=1).fetch()
    assert caplog.messages == []
    for _ in range(2):
        make(path=str(tmp_path)).fetch()
    (said,) = caplog.messages
    assert said.startswith(f"corpus.path={tmp_path}: 1 files left out")
    assert said.endswith(": b.md")


@pytest.mark.parametrize("content", ["\n \n\n\t\n", " "])
def test_only_blank_text_is_refused(make, tmp_path, content):
    path = tmp_path / "blank.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=r"blank\.txt holds only blank text: 0 documents"):
        make(path=str(path)).prepare_data()


def test_a_bad_byte_is_refused_before_anything_is_cached(make, tmp_path):
    path = tmp_path / "bad.txt"
    path.write_bytes(b"fine\n" * 1000 + b"\xff\n")
    with pytest.raises(InputError, match=r"bad\.txt, line 1001, byte 5000"):
        make(path=str(path), cache_dir=tmp_path / "cache").prepare_data()
    assert [path for path in (tmp_path / "cache" / "tokens").iterdir() if path.is_dir()] == []
    replaced = make(path=str(path), errors="replace")
    assert "\ufffd" in "".join(replaced.documents("train"))


def test_half_a_character_is_refused_before_anything_is_cached(make, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "fine"}\n' * 40 + r'{"text": "\ud83d"}')
    with pytest.raises(InputError, match=r"bad\.jsonl, line 41: .ud83d is half .*errors=replace"):
        make(path=str(path), cache_dir=tmp_path / "cache").prepare_data()
    assert [path for path in (tmp_path / "cache" / "tokens").iterdir() if path.is_dir()] == []
    replaced = make(path=str(path), cache_dir=tmp_path / "cache", errors="replace")
    replaced.prepare_data()
    assert replaced.train_tokens.manifest.documents == 39


def test_null_is_dropped_and_counted_in_every_kind_of_file(make, tmp_path, caplog):
    caplog.set_level("INFO")
    texts = [None, *(f"document {number}" for number in range(40))]
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    pq.write_table(pa.table({"text": pa.array(texts).dictionary_encode()}), tmp_path / "a.parquet")
    for path in (lines, tmp_path / "a.parquet"):
        corpus = make(path=str(path), cache_dir=tmp_path / path.suffix)
        corpus.prepare_data()
        assert corpus.train_tokens.manifest.documents == 38
        assert corpus.validation_tokens.manifest.documents == 2
    assert sum("train: 1 blank documents dropped" in line for line in caplog.messages) == 2


def test_what_is_advised_for_few_documents_helps(make, tmp_path):
    for size, passage_bytes, settings in (
        (2, 4000, None),
        (24, 4000, {"passage_bytes", "validation_every"}),
        (300, 4000, {"passage_bytes", "validation_every"}),
        (5000, 100_000, {"passage_bytes", "validation_every"}),
        (900, 4000, {"validation_every"}),
    ):
        path = tmp_path / "short.txt"
        path.write_text("One line.\n\n" * size)
        given = {"path": str(path), "passage_bytes": passage_bytes}
        with pytest.raises(
            InputError, match=r"validation .* 0 documents .*: use more text"
        ) as end:
            make(**given).prepare_data()
        advice = dict(re.findall(r"corpus\.(\w+)=(\d+)", str(end.value)))
        assert set(advice) == (settings or set())
        if settings:
            train, validation = both(make(**given | {key: int(n) for key, n in advice.items()}))
            assert len(train) >= len(validation) >= 1
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"text": "One line. " * 900}))
    with pytest.raises(InputError, match=r"one document cannot be both .*: use more text$"):
        make(path=str(path)).prepare_data()


def test_a_line_can_end_documents(make, tmp_path, caplog):
    caplog.set_level("WARNING")
    path = tmp_path / "stories.txt"
    stories = [f"Story {number}.\n\nIt ends." for number in range(40)]
    path.write_text("".join(f"{story}\n<|endoftext|>\n" for story in stories))
    for number in range(2):
        plain = make(path=str(path))
        assert "<|endoftext|>" in "".join(plain.documents("train")), f"as it was, {number}"
    (said,) = caplog.messages
    assert said.startswith(f"{path}: 40 lines are <|endoftext|> and taken as text")
    assert said.endswith("\"corpus.document_separator='<|endoftext|>'\"")
    cut = make(path=str(path), document_separator="<|endoftext|>")
    train, validation = both(cut)
    assert validation == [stories[19], stories[39]]
    assert train == stories[:19] + stories[20:39]
    assert cut.fingerprint() != plain.fingerprint()
    wrong = make(path=str(path), document_separator="<eos>")
    with pytest.raises(InputError, match=r"one document .*leave out corpus\.document_separator"):
        wrong.prepare_data()
    assert caplog.messages[-1] == f"{path}: no line is <eos>, so it is one document"


def test_fingerprint_follows_content_and_settings(make, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one")
    first = make(path=str(path)).fingerprint()
    assert make(path=str(path), passage_bytes=2000).fingerprint() != first
    assert make(path=str(path), seed=9, sequence_length=3).fingerprint() == first
    path.write_text("two")
    assert make(path=str(path)).fingerprint() != first


def test_preflight_names_the_key(tmp_path):
    (tmp_path / "corpus.txt").write_text("x")
    good = {"path": str(tmp_path / "corpus.txt")}
    assert path_problems(good) == []
    (problem,) = path_problems({"path": str(tmp_path / "corpsu.txt")})
    assert problem.startswith("path: ")
    assert "did you mean" in problem
    assert path_problems({**good, "document_separator": "<|endoftext|>"}) == []
    for wrong in ("", "  ", "a\nb"):
        (problem,) = path_problems({**good, "document_separator": wrong})
        assert problem.startswith(f"document_separator: {wrong!r} is not a line with text: give")
    (tmp_path / "rows.jsonl").write_text('{"text": "x"}')
    rows = {"path": str(tmp_path / "rows.jsonl"), "document_separator": "---"}
    (problem,) = path_problems(rows)
    assert "has no .txt file, and a row is a document: drop it" in problem
