"""Text without tokens is measured, said, and ranks no run."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.report.comparison import compare
from loomlab.report.comparison_sheet import comparison_sheet
from loomlab.report.page_data import _run
from loomlab.report.ranking import finished_rows, rich_table
from loomlab.report.thinning import read_columns
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import Job
from loomlab.text.encode import encode_documents
from loomlab.text.unknown import MOST, too_much, unread
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.wordpiece import WordPiece

HAN = 0x4E00  # ideographs, each of them a word


def test_bytes_without_a_token_are_counted():
    documents = ["abc", "a \u4e00\u4e01 b\u00e9 c", "\u4e00"]
    known, some, none = encode_documents(documents, WordPiece(100).train(["abc cab bca"]))
    assert (known[1:], none[1:]) == ((3, 0), (3, 3))
    assert some[1:] == (14, 6 + 3), "a word of which a letter is unknown is lost whole"
    assert [unknown for *_, unknown in encode_documents(documents, Byte().train())] == [0, 0, 0]


def test_a_small_share_is_let_pass_and_labels_are_no_likelihood():
    assert not too_much(MOST)
    assert unread({"corpus": {"unknown_share": 0.5}, "kind": "likelihood"}) == 0.5
    assert unread({"corpus": {"unknown_share": 0.5}, "kind": "labels"}) == 0.0
    assert unread({"corpus": {"unknown_share": MOST}}) == unread({"corpus": {}}) == unread({}) == 0


def test_a_run_on_text_it_has_no_tokens_for_is_warned_of_and_not_ranked(
    train: Callable[..., RunFolder], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Held-out documents have ideographs that training has not; were they told with ease ..."""
    rows = ["here " + "".join(chr(HAN + 40 * n + i) for i in range(40)) for n in range(40)]
    corpus = tmp_path / "han.jsonl"
    corpus.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    options = ["model=ngram", f"corpus.path={corpus}", "trainer.limit_val_batches=null"]
    with caplog.at_level(logging.WARNING, "loomlab"):
        train(*options, "tokenizer=byte", folder="runs/byte")
        assert "held-out text" not in caplog.text
        pieces = train(*options, "tokenizer=wordpiece", folder="runs/pieces")
    said = "96.0 % of the held-out text is under [UNK], which carries none of it"
    assert caplog.text.count(said) == 1
    easy = {**pieces.summary(), "best": {"val/bits_per_byte": 0.01}}
    (pieces.path / "summary.json").write_text(json.dumps(easy))
    first, last = finished_rows([tmp_path / "runs"])
    assert (first.unread, last.unread) == (0.0, 240 / 250) != (0.0, 0.0)
    assert list(rich_table([first, last], "", ["tokenizer"]).columns[0].cells) == ["1", "-"]
    (comparison,) = compare([last, first], costs=("tokens",))
    assert [(g.label, g.rank) for g in comparison.groups] == [
        ("tokenizer=byte", 1), ("tokenizer=wordpiece", None)
    ]  # fmt: skip
    assert comparison.baseline is comparison.groups[0]
    assert [g.on_front for g in comparison.groups] == [True, False]
    notes = comparison_sheet(comparison).notes
    assert any("96.0% of its text is under the unknown token" in note for note in notes)
    job = Job("key", 0, "pieces", [], {})
    table = read_columns(last.folder.metrics)
    assert _run(job, last, table, 20, 1)["best"] == {}
    assert _run(job, first, table, 20, 1)["best"]
