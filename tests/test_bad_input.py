"""Bad input ends in one clear sentence and exit code 2, soon, with nothing half-written."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loomlab.run import session  # noqa: F401  what importing the libraries takes is not counted
from loomlab.run.folder import RunFolder
from loomlab.text.token_file import TokenFile

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
ALICE = (Path(__file__).parent / "data" / "alice.txt").read_text(encoding="utf-8")
Ended = Callable[..., tuple[int, str]]
SECONDS = 5.0


def written(content: bytes | str) -> Callable[[Path], None]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data) and None


LATIN = ALICE[:3000] + "caf\xe9\n" + ALICE[3000:6000]
CORPORA: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "text.txt does not exist"),
    "empty": (lambda path: path.touch(), "is empty (0 bytes)"),
    "blank": (written(" \n\n\t\n" * 400), "only blank text: 0 documents"),
    "binary": (written(os.urandom(50_000)), "text.txt, line "),
    "nul": (written(ALICE[:5000] + "\0" + ALICE[5000:]), "byte 5000: a NUL byte"),
    "utf-16": (written(ALICE.encode("utf-16")), "is UTF-16: convert it"),
    "latin-1": (written(LATIN.encode("latin-1")), "byte 3003: 0xe9 is not utf-8"),
    "directory": (lambda path: path.mkdir(), "contains no .txt"),
    "loop": (lambda path: path.symlink_to(path), "symbolic link that leads back to itself"),
    "short": (written("A word. \n\n" * 3), "validation part of the corpus has 0 documents"),
}


@pytest.mark.parametrize("kind", CORPORA)
def test_corpus(refused: Callable[..., str], tmp_path: Path, kind: str):
    make, words = CORPORA[kind]
    path = tmp_path / "text.txt"
    make(path)
    said = refused(f"corpus.path={path}")
    assert words in said
    assert str(path) in said or kind == "short"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["sequence_length=100000"], "fewer than one sequence of 100000 + 1"),
        (["global_batch_size=90000"], "fewer than the 90000 of one batch"),
        (["corpus.max_samples=3"], "3 training sequences are fewer than the 4"),
        (["sequence_length=1"], "sequence_length: 1 is outside [2, inf)"),
        (["optimizer.lr=inf"], "optimizer.lr: inf is not a finite number"),
        (["optimizer.lr=nan"], "optimizer.lr: nan is not a finite number"),
        (["optimizer.lr=-1"], "optimizer.lr: -1.0 is outside (0, inf)"),
        (["optimizer.lr=fast"], "optimizer.lr: 'fast' is not a number"),
        (["seed=-1"], "seed: -1 is outside"),
        (["seed=abc"], "seed: 'abc' is not a whole number"),
        (["seed=1.5"], "seed: '1.5' is not a whole number"),
        (["seed=4294967296"], "seed: 4294967296 is outside"),
        (["budget.steps=0"], "budget.steps: 0 is outside"),
        (["parallelism=ddp", "parallelism.devices=3"], "nearest that can: 3 or 6"),
        (["trainer.accumulate_grad_batches=8"], "nearest that can: 8"),
        (["init=/no/such/run"], "init: /no/such/run does not exist"),
        (["resume=/no/such/run"], "no run folder is there"),
        (["model=../../evil"], "leaves the config folders"),
        (["name=../../etc/x"], "is no plain name"),
    ],
    ids=str,
)
def test_setting(refused: Callable[..., str], overrides: list[str], words: str):
    assert words in refused(*overrides)


def test_sequence_longer_than_the_position_table(refused: Callable[..., str]):
    config = "{n_layer: 1, n_embd: 16, n_head: 2, n_positions: 8}"
    model = ["model=hf", "model.architecture_type=gpt2", f"++model.config={config}"]
    said = refused(model=model)
    assert "The model has 8 positions, too few for sequences of 16 tokens" in said


def test_hub_out_of_reach(refused: Callable[..., str], unreachable_hub: list[float | None]):
    said = refused(
        model=[
            "model=hf",
            "model.name=nobody/nothing",
            "tokenizer=hf",
            "tokenizer.name=nobody/nothing",
        ]
    )
    assert "the hub cannot be reached" in said
    assert unreachable_hub == [1.0], "asked once, for a second"


# -- output


@pytest.mark.parametrize("kind", ["below a file", "no folder of files", "full"])
def test_output_that_cannot_be_written(
    ended: Ended, tiny: Callable[..., list[str]], tmp_path: Path, kind: str, monkeypatch
):
    (tmp_path / "file").write_text("x")
    places = {"below a file": tmp_path / "file" / "run", "no folder of files": Path("/proc/run")}
    place = places.get(kind, Path("/dev/full/run"))
    code, said = ended("train", *tiny(*SMALL, f"paths.output_dir={place}"))
    assert code == 2, said
    assert f"paths.output_dir={place} cannot be written" in said
    assert (tmp_path / "file").read_text() == "x"
    given = [o for o in tiny(*SMALL) if not o.startswith("paths.output_dir")]
    code, said = ended("train", "-m", *given, f"paths.sweep_dir={place}")
    assert code == 2, said
    assert f"paths.sweep_dir={place} cannot be written" in said


def test_a_folder_that_was_there_keeps_what_it_had(
    ended: Ended, tiny: Callable[..., list[str]], tmp_path: Path
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.md").write_text("mine")
    code, _ = ended("train", *tiny(*SMALL, "sequence_length=100000"))
    assert code == 2
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["notes.md"]


# -- what is not refused


def test_bytes_that_are_no_text_can_be_replaced_and_are_counted(
    train: Callable[..., RunFolder], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "text.txt"
    path.write_bytes(LATIN.encode("latin-1") * 20)
    run = train(*SMALL, f"corpus.path={path}", "corpus.errors=replace")
    assert run.summary()["status"] == "finished"
    assert "20 bytes that are not utf-8 were replaced" in caplog.text


def test_a_vocabulary_over_uint16_makes_wider_tokens(tmp_path: Path):
    """70,000 words of one character each, cut by a tokenizer that knows each of them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from loomlab.text.encode import tokenize_to

    words = {f"w{i}": i for i in range(70_000)} | {"<|endoftext|>": 70_000, "<|unk|>": 70_001}
    backend = Tokenizer(models.WordLevel(words, unk_token="<|unk|>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", unk_token="<|unk|>"
    )
    manifest = tokenize_to(tmp_path / "train", ["w1 w69999 w65536"], tokenizer, "x")
    file = TokenFile(tmp_path / "train")
    assert manifest.dtype == "uint32"
    assert file.tokens.tolist() == [1, 69_999, 65_536, 70_000]
    assert np.dtype(file.manifest.dtype).itemsize == 4


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["spaces", "no spaces", "not ASCII"])
def test_one_enormous_line_takes_less_than_four_times_its_size(tmp_path: Path, kind: str):
    size = 60_000_000
    path = tmp_path / "line.txt"
    words = {"spaces": "lorem ipsum dolor sit ", "no spaces": "loremipsumdolor"}
    word = words.get(kind, "h\u00e9llo w\u00f6rld \u4e2d\u6587 ").encode()
    path.write_bytes(word * (size // len(word)))
    code = (
        "import sys, pathlib\n"
        "from loomlab.corpus.text import Text\n"
        "from loomlab.tokenizer.byte import Byte\n"
        "status = lambda: pathlib.Path('/proc/self/status').read_text()\n"
        "peak = lambda: int(status().split('VmHWM:')[1].split()[0]) * 1024\n"
        "before = peak()\n"
        "corpus = Text(path=sys.argv[1], tokenizer=Byte(), sequence_length=64, batch_size=4,"
        " seed=1, cache_dir=pathlib.Path(sys.argv[2]))\n"
        "corpus.prepare_data(); corpus.setup()\n"
        "print(len(corpus.train_tokens), peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "cache")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tokens, peak = map(int, done.stdout.split())
    assert tokens > size * 0.9
    assert peak < 4 * size
