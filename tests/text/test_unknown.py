"""Text without tokens is measured, said, and ranks no run."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError
from loomlab.report.comparison import compare
from loomlab.report.comparison_sheet import comparison_sheet
from loomlab.report.page_data import _run
from loomlab.report.ranking import finished_rows, rich_table
from loomlab.report.thinning import read_columns
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import Job
from loomlab.text.encode import encode_documents
from loomlab.text.unknown import MOST, too_much, unread, where_unknown
from loomlab.tokenizer.base import wrap
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.byte_bpe import ByteBPE
from loomlab.tokenizer.wordpiece import WordPiece

HAN = 0x4E00  # ideographs, each of them a word
THAI = Path(__file__).with_name("thai.jsonl")  # articles of human rights, by the UN


def lost(documents: list[str], tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The bytes of each document that no token carries."""
    return [unknown for *_, unknown in encode_documents(documents, tokenizer)]


def test_bytes_without_a_token_are_counted():
    documents = ["abc", "a \u4e00\u4e01 b\u00e9 c", "\u4e00"]
    known, some, none = encode_documents(documents, WordPiece(100).train(["abc cab bca"]))
    assert (known[1:], none[1:]) == ((3, 0), (3, 3))
    assert some[1:] == (14, 6 + 3), "a word of which a letter is unknown is lost whole"
    assert lost(documents, Byte().train()) == [0, 0, 0]


def test_thai_without_spaces_is_carried_whole():
    """Cut as BERT cuts it, most is lost: a word of over 100 letters is one unknown token."""
    texts = [json.loads(line)["text"].replace(" ", "") for line in THAI.open()]
    pieces = WordPiece(400).train(texts)
    assert sum(lost(texts, pieces)) == sum(lost(texts, ByteBPE(400).train(texts))) == 0
    pieces.backend_tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert (sum(lost(texts, pieces)), sum(len(text.encode()) for text in texts)) == (5988, 7557)


def test_its_bits_per_byte_are_those_of_bytes_in_pairs(train: Callable[..., RunFolder]):
    options = ["model=ngram", f"corpus.path={THAI}", "corpus.validation_every=4"]
    options += ["trainer.limit_val_batches=null", "budget.steps=100"]
    found = {}
    for name in ("wordpiece", "byte_bpe"):
        cut = [f"tokenizer={name}", "tokenizer.vocab_size=400"]
        summary = train(*options, *cut, folder=f"runs/{name}").summary()
        assert summary["corpus"]["unknown_share"] == 0
        found[name] = summary["best"]["val/bits_per_byte"]
    assert found["wordpiece"] == pytest.approx(found["byte_bpe"], rel=0.05), found


def bpe(entries: list[str], **settings: object) -> Backend:
    vocab = {entry: number for number, entry in enumerate(entries)}
    return Backend(models.BPE(vocab=vocab, merges=[("a", "b")], **settings))


def test_what_is_dropped_for_want_of_an_unknown_token_is_counted():
    texts = ["ab \u4e00ab\n", "\u4e00\u00e9", "ab"]
    plain = bpe(["a", "b", "ab"])
    assert plain.encode(texts[0]).tokens == ["ab", "ab"]
    assert lost(texts, wrap(plain)) == [3, 5, 0], "white space is not counted"
    # The role of an unknown token is not the model's: GPT-2 gives it to the end of a text.
    assert lost(texts, wrap(plain, unk_token="ab")) == [3, 5, 0]
    spelled = [f"<0x{byte:02X}>" for byte in "\u4e00".encode()]
    half = bpe(["a", "b", "ab", *spelled], byte_fallback=True)
    assert half.encode(texts[1]).tokens == spelled
    assert lost(texts, wrap(half)) == [0, 2, 0]
    ended = bpe(["a", "b", "ab", "\u4e00</w>"], end_of_word_suffix="</w>")
    assert lost(["\u4e00"], wrap(ended)) == [0]


def test_single_bytes_are_dropped_too():
    """An alphabet of the bytes that a vocabulary was trained on, and of no others."""
    known = [part for part, _ in pre_tokenizers.ByteLevel(False).pre_tokenize_str("ab\u4e00")]
    backend = bpe([*dict.fromkeys("".join(known)), "ab"])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert backend.encode("\u4e01").tokens == backend.encode("\u4e00").tokens[:2]
    assert lost(["ab\u4e00", "ab\u4e01", "c"], wrap(backend)) == [0, 1, 1]


def test_an_unknown_token_that_has_no_role_is_one_all_the_same():
    pieces = WordPiece(100).train(["abc cab bca"])
    assert lost(["a \u4e00"], wrap(pieces.backend_tokenizer, eos_token="[SEP]")) == [3]
    twice = bpe(["?", "a", "b", "ab"], unk_token="?")  # a token for each byte of a letter
    twice.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert twice.encode("\u4e00").tokens == ["?"] * 3
    assert lost(["\u4e00"], wrap(twice)) == [3]


def test_a_tokenizer_that_fails_at_text_is_named():
    pieces = wrap(Backend(models.Unigram([("a", -1.0), ("b", -1.0)])))
    assert lost(["ab"], pieces) == [0]
    with pytest.raises(InputError, match="tokenizer: it has neither a token for all of the text"):
        lost(["abc"], pieces)


def test_a_small_share_is_let_pass_and_labels_are_no_likelihood():
    assert not too_much(MOST)
    assert unread({"corpus": {"unknown_share": 0.5}, "kind": "likelihood"}) == 0.5
    assert unread({"corpus": {"unknown_share": 0.5}, "kind": "labels"}) == 0.0
    assert unread({"corpus": {"unknown_share": 0.5}, "kind": "numbers"}) == 0.0
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
    assert where_unknown(bpe(["a", "b", "ab"])) == (
        "dropped, as no token of the vocabulary can carry it"
    )
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
    assert any("96.0% of its text is carried by no token" in note for note in notes)
    job = Job("key", 0, "pieces", [], {})
    table = read_columns(last.folder.metrics)
    assert _run(job, last, table, 20, 1)["best"] == {}
    assert _run(job, first, table, 20, 1)["best"]
