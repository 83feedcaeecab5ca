"""Token files: exact content, the right width, and damage that is noticed."""

import os
import pickle

import numpy as np
import pytest
import torch

from loomlab.text.packing import PackedWindows, window_count
from loomlab.text.token_file import TokenFile, token_file_problem, write_token_file

DOCUMENTS = [([5, 6, 7], 3, 0), ([8], 1, 1), ([9, 10], 4, 2)]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def write(folder, vocab_size=300):
    documents = [(np.asarray(ids), *sizes) for ids, *sizes in DOCUMENTS]
    write_token_file(folder, documents, vocab_size=vocab_size, eos_id=1, tokenizer_hash="abc")


def test_content_and_manifest(folder):
    file = TokenFile(folder)
    assert file.tokens.tolist() == [5, 6, 7, 1, 8, 1, 9, 10, 1]
    assert file.ends.tolist() == [4, 6, 9]
    assert (len(file), file.manifest.documents, file.manifest.bytes) == (9, 3, 8)
    assert file.manifest.unknown_bytes == 3
    assert file.document_of(np.arange(9)).tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("vocab_size", "width"), [(256, 2), (65_535, 2), (65_536, 4), (200_000, 4)]
)
def test_width_follows_the_vocabulary(tmp_path, vocab_size, width):
    documents = [(np.asarray([vocab_size - 1]), 1, 0)]
    write_token_file(tmp_path, documents, vocab_size=vocab_size, eos_id=0, tokenizer_hash="abc")
    file = TokenFile(tmp_path)
    assert file.tokens.dtype.itemsize == width
    assert file.tokens.tolist() == [vocab_size - 1, 0]


def test_sound_files_have_no_problem(folder):
    assert token_file_problem(folder, "abc") is None


def test_another_tokenizer_is_a_problem(folder):
    assert "tokenizer" in token_file_problem(folder, "abd")


@pytest.mark.parametrize("name", ["tokens.bin", "documents.bin", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncate", "remove", "flip"])
def test_damage_is_noticed(folder, name, damage):
    path = folder / name
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-2] if damage == "truncate" else bytes([data[0] ^ 4]) + data[1:])
    if damage == "truncate" and name == "manifest.json":
        path.write_bytes(data[: len(data) // 2])
    assert token_file_problem(folder, "abc")


def test_a_quick_look_reads_sizes_only(folder):
    path = folder / "tokens.bin"
    data = path.read_bytes()
    path.write_bytes(data[::-1])
    assert token_file_problem(folder, "abc", checksums=False) is None
    path.write_bytes(data[:-2])
    assert "16, 24" in token_file_problem(folder, "abc", checksums=False)


def test_a_pickled_file_is_mapped_again_not_copied(folder):
    message = pickle.dumps(TokenFile(folder))
    assert len(message) < 500
    assert pickle.loads(message).tokens.tolist() == TokenFile(folder).tokens.tolist()


def test_windows_overlap_by_one_token_and_carry_documents(folder):
    windows = PackedWindows(TokenFile(folder), 3, document_mask=True)
    assert len(windows) == 2
    samples = windows.__getitems__([(1, 4), (0, 5)])
    assert samples.tokens_BU.tolist() == [[1, 8, 1, 9], [5, 6, 7, 1]]
    assert samples.document_BU.tolist() == [[0, 1, 1, 2], [0, 0, 0, 0]]
    assert (samples.index_B.tolist(), samples.epoch_B.tolist()) == ([1, 0], [4, 5])
    assert PackedWindows(TokenFile(folder), 3)[(0, 0)].document_BU is None
    parts = (samples.tokens_BU, samples.document_BU, samples.index_B, samples.epoch_B)
    assert {part.dtype for part in parts} == {torch.int64}
    assert [len(PackedWindows(TokenFile(folder), 3, max_samples=n)) for n in (1, 9)] == [1, 2]


@pytest.mark.parametrize(
    ("tokens", "length", "count"), [(0, 4, 0), (4, 4, 0), (5, 4, 1), (9, 4, 2)]
)
def test_window_count(tokens, length, count):
    assert window_count(tokens, length) == count


def test_many_may_be_open_at_once_and_none_can_be_changed(folder):
    """A process may have some thousand files open; runs that follow each other need not end."""
    before = len(os.listdir("/proc/self/fd"))
    files = [TokenFile(folder) for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    assert all(file.tokens.tolist() == files[0].tokens.tolist() for file in files)
    for array in (files[0].tokens, files[0].ends):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


def test_a_file_without_tokens(tmp_path):
    write_token_file(tmp_path, [], vocab_size=300, eos_id=1, tokenizer_hash="abc")
    assert TokenFile(tmp_path).tokens.tolist() == []
