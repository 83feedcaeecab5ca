"""Other runs as input: what does not fit is named, and a run that is refused stays as it was."""

import ctypes
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from tests.told import told, typed

from loomlab.callbacks.store import CheckpointStore
from loomlab.corpus.text import Text
from loomlab.run.folder import RunFolder

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
ALICE = (Path(__file__).parent / "data" / "alice.txt").read_text(encoding="utf-8")
CHECKPOINT = ["callbacks=[checkpoint]", "callbacks.checkpoint.keep_best=false"]
VERSION = 0x20080522  # of the layout of capabilities, see capset(2)
RIGHTS = ctypes.c_uint32 * 6  # those in force are the first word, and the fourth
TO_READ_ALL = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
Ended = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    train: Callable[..., RunFolder], kept_runs: dict, tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> RunFolder:  # fmt: skip
    """A finished run of two steps, to be spoilt: a copy of one that was trained once."""
    if __file__ not in kept_runs:
        kept_runs[__file__] = tmp_path_factory.mktemp("kept") / "run"
        train(*SMALL, *CHECKPOINT, f"paths.output_dir={kept_runs[__file__]}")
    return RunFolder(shutil.copytree(kept_runs[__file__], tmp_path / "run"))


def state_of(folder: Path) -> dict[str, bytes]:
    """Every file of a run but its log."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "train.log"]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def refuse_to_go_on(what: str, ended: Ended, run: RunFolder) -> None:
    """Resuming is refused in the words of the table, and leaves the run as it was."""
    before = state_of(run.path)
    code, said = ended("train", *typed(what, run.path.parent), "budget.steps=4")
    assert code == 2, said
    told(what, said, run.path.parent)
    assert state_of(run.path) == before


def refuse_to_use(what: str, ended: Ended, run: RunFolder) -> None:
    """The same of `loom evaluate`."""
    before = state_of(run.path)
    code, said = ended("evaluate", *typed(what, run.path.parent))
    assert code == 2, said
    told(what, said, run.path.parent)
    assert state_of(run.path) == before


# -- weights to start from


@pytest.mark.parametrize("what", ["weights of another shape", "weights of another tokenizer"])
def test_weights_that_do_not_fit(
    what: str, refused: Callable[..., str], run: RunFolder, tmp_path: Path
):
    told(what, refused(*typed(what, tmp_path)), tmp_path)


def test_weights_that_are_damaged(refused: Callable[..., str], run: RunFolder, tmp_path: Path):
    weights = run.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    told("weights cut short", refused(*typed("weights cut short", tmp_path)), tmp_path)


# -- runs to go on with


def test_resume_with_another_outcome(ended: Ended, run: RunFolder):
    refuse_to_go_on("a resumed run with another model", ended, run)
    code, said = ended("train", f"resume={run.path}", "tokenizer=byte_bpe")
    assert code == 2
    assert "tokenizer" in said


def replace_last(run: RunFolder, state: object, save: Callable = torch.save) -> None:
    """Put something in the place of the newest checkpoint, as if a run had written it."""
    store = CheckpointStore(run.checkpoints)
    save(state, store.partial("last.ckpt"))
    store.commit("last.ckpt", 99)


def test_resume_of_a_checkpoint_of_another_shape(ended: Ended, run: RunFolder):
    state = torch.load(run.checkpoints / "last.ckpt", weights_only=True)
    key = next(k for k, v in state["state_dict"].items() if v.ndim == 2)
    state["state_dict"][key] = torch.zeros(3, 3)
    replace_last(run, state)
    refuse_to_go_on("a checkpoint of another shape", ended, run)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


def test_resume_of_a_bomb(ended: Ended, run: RunFolder, tmp_path: Path):
    bomb = pickle.dumps(Bomb(tmp_path / "harm"))
    replace_last(run, bomb, lambda content, path: path.write_bytes(content))
    refuse_to_go_on("a pickle that runs code as checkpoint", ended, run)
    assert not (tmp_path / "harm").exists()


def test_resume_on_other_text(ended: Ended, train: Callable[..., RunFolder], tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text(ALICE)
    run = train(*SMALL, *CHECKPOINT, f"corpus.path={text}")
    text.write_text(ALICE.replace("Alice", "Alicia"))
    refuse_to_go_on("a resumed run on other text", ended, run)


def test_resume_without_any_sound_checkpoint(ended: Ended, run: RunFolder):
    for path in run.checkpoints.glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:-1])
    refuse_to_go_on("checkpoints that are all damaged", ended, run)


# -- records


def edit(path: Path, change: Callable[[dict], object]) -> None:
    """Change a record of YAML or JSON."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content))


def test_records_cut_short(ended: Ended, run: RunFolder):
    (run.path / "config.yaml").write_text("a: [1, 2")
    refuse_to_go_on("a config of a run cut short", ended, run)
    (run.path / "config.yaml").write_text("")
    refuse_to_use("a config of a run that is empty", ended, run)
    assert ended("train", f"resume={run.path}")[0] == 2


def test_records_of_another_version(ended: Ended, run: RunFolder):
    edit(run.path / "summary.json", lambda summary: summary.update(schema_version=99))
    refuse_to_use("a run folder laid out by another version", ended, run)
    assert ended("train", f"resume={run.path}", "budget.steps=4")[0] == 2
    edit(run.path / "summary.json", lambda summary: summary.update(schema_version=1))
    edit(run.path / "config.yaml", lambda config: config["corpus"].update(path_of_text="x"))
    refuse_to_use("a setting that this version does not have", ended, run)


def test_a_folder_copied_while_it_was_written(ended: Ended, run: RunFolder):
    """Files are there in part, or not yet."""
    tokenizer = run.model / "tokenizer.json"
    whole = tokenizer.read_bytes()
    tokenizer.write_bytes(whole[:100])
    refuse_to_use("a tokenizer of a run cut short", ended, run)
    tokenizer.write_bytes(whole)
    weights = run.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    refuse_to_use("a model of a run cut short", ended, run)
    shutil.rmtree(run.model)
    refuse_to_use("a run that was copied before it ended", ended, run)


def test_a_copy_of_a_run_that_was_written_goes_on(ended: Ended, run: RunFolder):
    """The newest state came over in part, and no end of it: the state before it counts."""
    metrics = run.metrics.read_bytes()
    run.metrics.write_bytes(metrics[:-9])
    last = run.checkpoints / "last.ckpt"
    shutil.copy(last, run.checkpoints / ".best.ckpt.partial")
    shutil.rmtree(run.model)
    code, said = ended("train", f"resume={run.path}", "budget.steps=4")
    assert code == 0, said
    assert run.summary()["status"] == "finished"
    assert run.summary()["steps"] == 4


def test_loading_says_what_is_damaged(ended: Ended, run: RunFolder):
    weights = run.model / "model.safetensors"
    content = load_file(weights)
    key = next(iter(content))
    save_file({**content, key: torch.zeros(2, 2)}, weights)
    code, said = ended("evaluate", run.path)
    assert code == 2, said
    (run.model / "config.json").write_text(json.dumps({"model_type": "loom_gpt"})[:-3])
    code, said = ended("evaluate", run.path)
    assert code == 2, said
    assert "Traceback" not in said


# -- the text and its cache


@contextmanager
def another_user(closed: Path) -> Iterator[None]:
    """A process that may not read a folder; root may, so that it lets go of that right."""
    mode = closed.stat().st_mode
    closed.chmod(0)
    libc, header, rights = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(VERSION, 0), RIGHTS()
    assert libc.capget(header, rights) == 0
    fewer = RIGHTS(rights[0] & ~TO_READ_ALL, *rights[1:])
    assert libc.capset(header, fewer) == 0
    try:
        yield
    finally:
        assert libc.capset(header, rights) == 0
        closed.chmod(mode)


@pytest.mark.parametrize(
    ("what", "closed"),
    [
        ("a cache of another user", "cache/tokenizers"),
        ("a cache in a folder of another user", "theirs"),
        ("an output folder in one of another user", "theirs"),
    ],
)
def test_what_belongs_to_another_user(
    what: str, closed: str, ended: Ended, tiny: Callable[..., list[str]], tmp_path: Path
):
    for folder in (tmp_path / closed, tmp_path / "new"):
        folder.mkdir(parents=True)
    given = tiny(*SMALL, f"paths.output_dir={tmp_path / 'new' / 'run'}", *typed(what, tmp_path))
    with another_user(tmp_path / closed):
        code, said = ended("train", *given)
    assert code == 2, said
    told(what, said, tmp_path)
    assert not list((tmp_path / "new").iterdir())


def test_text_that_changes_while_it_is_read(
    ended: Ended, tiny: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nothing of it is kept under the name of the text that it was."""
    text, whole = tmp_path / "text.txt", Text.documents

    def documents(self: Text, split: str) -> Iterator[str]:
        for number, document in enumerate(whole(self, split)):
            if number == 1:
                text.write_text(ALICE + "And so on.")
            yield document

    text.write_text(ALICE)
    what, cache = "a text that changes while it is read", tmp_path / "cache"
    given = tiny(*SMALL, *typed(what, tmp_path), f"paths.cache_dir={cache}")
    with monkeypatch.context() as writing:
        writing.setattr(Text, "documents", documents)
        code, said = ended("train", *given)
    assert code == 2, said
    told(what, said, tmp_path)
    assert not (tmp_path / "run").exists()
    assert not [path for path in cache.glob("tokens/*") if path.is_dir()]
