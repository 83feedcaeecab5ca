"""The cache under kill -9, damage and two processes at once; all processes are real."""

import json
import logging
import signal
import time
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.warm import forkserver

from loomlab.errors import InputError
from loomlab.text.cache import build_once
from loomlab.text.prepare import cached_token_files, cached_tokenizer
from loomlab.tokenizer.base import tokenizer_hash
from loomlab.tokenizer.byte import Byte

ALICE = Path(__file__).parents[1] / "data" / "alice.txt"


def work(cache, number):
    """Prepare tokens, and stand still half-way until there is a file go_on."""
    text = ALICE.read_text()

    def documents(split):
        for each in range(60 if split == "train" else 3):
            while each == 30 and not (cache / "go_on").exists():
                time.sleep(0.01)
            yield f"{each} {text}"

    logging.basicConfig(
        level=logging.INFO, format="%(message)s", force=True, filename=cache / f"log{number}"
    )
    tokenizer = Byte().train()
    (cache / f"ready{number}").touch()
    while not (cache / "go").exists():
        time.sleep(0.01)
    files = cached_token_files(cache, "print", documents, tokenizer, tokenizer_hash(tokenizer))
    result = {"tokens": len(files[0]), "sha256": files[0].manifest.tokens_sha256}
    (cache / f"result{number}").write_text(json.dumps(result))


def start(cache, number=0):
    process = forkserver.Process(target=work, args=(cache, number), daemon=True)
    process.start()
    return process


def ended(process):
    """Its exit code."""
    process.join(PATIENCE)
    return process.exitcode


def result(cache, number=0):
    return json.loads((cache / f"result{number}").read_text())


def said(cache):
    return "".join(path.read_text() for path in sorted(cache.glob("log*")))


def wait_for(condition, processes):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert all(process.is_alive() for process in processes)
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def test_kill_during_tokenization_leaves_nothing_half_and_is_repaired(tmp_path):
    (tmp_path / "go").touch()
    killed = start(tmp_path)
    written = "tokens/*.tmp/train/tokens.bin"
    wait_for(lambda: any(f.stat().st_size for f in tmp_path.glob(written)), [killed])
    killed.kill()
    assert ended(killed) == -signal.SIGKILL
    assert list(tmp_path.glob("tokens/*.tmp"))
    assert not list(tmp_path.glob("tokens/*/manifest.json"))
    (tmp_path / "go_on").touch()
    second = start(tmp_path)
    assert ended(second) == 0, said(tmp_path)
    assert result(tmp_path)["tokens"] == sum(
        len(f"{n} ") + len(ALICE.read_text()) + 1 for n in range(60)
    )
    assert not list(tmp_path.glob("tokens/*.tmp"))


def test_two_processes_do_the_work_once(tmp_path):
    both = [start(tmp_path, number=n) for n in range(2)]
    wait_for(lambda: len(list(tmp_path.glob("ready*"))) == 2, both)
    (tmp_path / "go").touch()
    wait_for(lambda: "waiting for another process" in said(tmp_path), both)
    (tmp_path / "go_on").touch()
    assert [ended(process) for process in both] == [0, 0], said(tmp_path)
    assert result(tmp_path, 0) == result(tmp_path, 1)
    assert said(tmp_path).count("tokenized train") == 1
    assert said(tmp_path).count("waiting for another process") == 1


def prepare(cache, documents=lambda split: iter([f"{split} text"])):
    tokenizer = Byte().train()
    return cached_token_files(cache, "print", documents, tokenizer, tokenizer_hash(tokenizer))


@pytest.mark.parametrize("split", [0, 1], ids=["train", "validation"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "manifest"])
def test_damaged_files_are_written_again_with_a_warning(tmp_path, caplog, damage, split):
    file = prepare(tmp_path)[split]
    before = file.tokens.tolist()
    path = file.folder / ("manifest.json" if damage == "manifest" else "tokens.bin")
    data = path.read_bytes()
    path.write_bytes(b"\x01" + data[1:] if damage == "flip" else data[:3])
    with caplog.at_level(logging.WARNING, "loomlab.text"):
        again = prepare(tmp_path)[split]
    assert again.tokens.tolist() == before
    assert len([r for r in caplog.records if "rebuilding" in r.message]) == 1


def test_a_sound_cache_is_only_read(tmp_path):
    prepare(tmp_path)

    def never(split):
        raise AssertionError("tokenized again")

    train, _ = prepare(tmp_path, never)
    assert len(train) == len("train text") + 1


def test_other_content_gets_another_folder(tmp_path):
    tokenizer = Byte().train()
    for fingerprint, name in (("a", "hash"), ("b", "hash"), ("a", "of another tokenizer")):
        cached_token_files(tmp_path, fingerprint, lambda s: iter([s]), tokenizer, name)
    assert len([f for f in (tmp_path / "tokens").iterdir() if f.is_dir()]) == 3


def test_a_failed_build_leaves_nothing(tmp_path):
    def documents(split):
        yield "text"
        raise InputError("broken source")

    with pytest.raises(InputError, match="broken source"):
        prepare(tmp_path, documents)
    assert [f for f in (tmp_path / "tokens").iterdir() if f.is_dir()] == []


def test_no_validation_document_is_refused_with_the_setting(tmp_path):
    for texts, words in (
        (["a", "b"], r"0 documents \(2 are for training\): .*corpus\.validation_every=2 or less"),
        (["a"], r"0 documents \(1 is for training\): one document cannot be both .* more text$"),
        ([], r"the train part of the corpus has 0 documents: use more text$"),
    ):
        documents = {"train": texts, "validation": []}
        with pytest.raises(InputError, match=words):
            prepare(tmp_path, lambda split, known=documents: iter(known[split]))


def test_a_cached_tokenizer_is_the_same_tokenizer(tmp_path):
    first = cached_tokenizer(tmp_path, "key", lambda: Byte().train())
    folder = tmp_path / "tokenizers" / "key"
    assert json.loads((folder / "tokenizer.json").read_text())
    again = cached_tokenizer(tmp_path, "key", lambda: pytest.fail("trained again"))
    assert tokenizer_hash(first) == tokenizer_hash(again) == tokenizer_hash(Byte().train())
    for damage in ('{"half', None):
        (folder / "tokenizer.json").unlink()
        if damage:
            (folder / "tokenizer.json").write_text(damage)
        mended = cached_tokenizer(tmp_path, "key", lambda: Byte().train())
        assert tokenizer_hash(mended) == tokenizer_hash(first)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/sub.*LOOM_CACHE"):
        build_once(tmp_path / "file" / "sub" / "key", lambda f: None, lambda f: None)


def test_a_full_disk_is_named(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")

    def build(folder):
        with open("/dev/full", "wb") as handle:
            handle.write(b"x" * 100_000)

    with pytest.raises(InputError, match=r"no space left.*LOOM_CACHE"):
        build_once(tmp_path / "key", build, lambda f: None)
    assert not (tmp_path / "key").exists()
