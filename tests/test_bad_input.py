"""Bad input ends in one clear sentence and exit code 2, soon, with nothing half-written."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.told import DOC, ROWS, told, typed

from loomlab.run import session  # noqa: F401  what importing the libraries takes is not counted
from loomlab.run.folder import RunFolder
from loomlab.text.token_file import TokenFile

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
ALICE = (Path(__file__).parent / "data" / "alice.txt").read_text(encoding="utf-8")
Ended = Callable[..., tuple[int, str]]


def written(content: bytes | str) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


LATIN = ALICE[:3000] + "caf\xe9\n" + ALICE[3000:6000]
NO_TEXT = bytes(range(128, 256)) * 400
# What is in the place of /home/me/text.txt (or .jsonl) when a row of docs/reliability.md is typed.
TEXTS: dict[str, Callable[[Path], object]] = {
    "an empty file": Path.touch,
    "a file of blank lines": written(" \n\n\t\n" * 400),
    "a file that is no text": written(NO_TEXT),
    "a NUL byte in a text": written(ALICE[:5000] + "\0" + ALICE[5000:]),
    "UTF-16": written(ALICE.encode("utf-16")),
    "Latin-1": written(LATIN.encode("latin-1")),
    "an empty folder": Path.mkdir,
    "a link that leads to itself": lambda path: path.symlink_to(path),
    "a pipe": os.mkfifo,
    "a gzip file cut short": written(gzip.compress(ALICE.encode())[:-9]),
    "a row that is no JSON": written('{"text": "a"}\n{"text": \n'),
    "rows with another key": written('{"text": "a"}\n{"body": "b"}\n'),
    "too little text to hold some out": written("A word. \n\n" * 3),
}
SETTINGS = (
    "a path to nothing", "a sequence longer than the text", "a batch larger than the text",
    "a cap below the batch", "a sequence of one token", "a rate that is infinite",
    "a rate that is no number", "a negative rate", "a rate in words", "a negative seed",
    "half a seed", "no steps", "processes that do not divide the batch",
    "micro-batches that do not divide the batch", "weights that are not there",
    "a run that is not there", "an option outside the config folders",
    "a name that leads out of the outputs", "a setting that does not exist",
    "a pair that does not go together", "code of another package",
    "a sequence longer than the position table", "a hub that cannot be reached",
)  # fmt: skip


@pytest.mark.parametrize("what", [*TEXTS, *SETTINGS])
def test_what_is_told(
    what: str, refused: Callable[..., str], tmp_path: Path, request: pytest.FixtureRequest
):
    given = typed(what, tmp_path)
    if what in TEXTS:
        (place,) = (o.partition("=")[2] for o in given if o.startswith("corpus.path="))
        TEXTS[what](Path(place))
    limits = request.getfixturevalue("unreachable_hub") if "hub" in what else None
    told(what, refused(*given, model=[] if "model=hf" in given else SMALL), tmp_path)
    assert limits in (None, [1.0]), "a hub is asked once, for a second"


def test_every_row_of_the_table_is_typed_by_a_test():
    tests = [Path(__file__), *map(Path(__file__).with_name, ("test_bad_runs.py",))]
    words = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    assert len(ROWS) >= 40
    assert f"the {len(ROWS)} rows below" in DOC.read_text(encoding="utf-8")
    assert [what for what in ROWS if f'"{what}"' not in words] == []


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["seed=abc"], "seed: 'abc' is not a whole number"),
        (["seed=4294967296"], "seed: 4294967296 is outside"),
    ],
    ids=str,
)
def test_setting(refused: Callable[..., str], overrides: list[str], words: str):
    assert words in refused(*overrides)


# -- output


@pytest.mark.parametrize(
    "what", ["an output folder below a file", "an output folder that cannot be made"]
)
def test_output_that_cannot_be_written(
    what: str, ended: Ended, tiny: Callable[..., list[str]], tmp_path: Path
):
    (tmp_path / "file").write_text("x")
    (given,) = typed(what, tmp_path)
    code, said = ended("train", *tiny(*SMALL, given))
    assert code == 2, said
    told(what, said, tmp_path)
    assert (tmp_path / "file").read_text() == "x"
    place = given.partition("=")[2]
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
