"""Shared ground of the tests: a tiny experiment on real text, run in this process."""

import gc
import importlib.util
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import setuptools  # noqa: F401  before the distutils of Python, which torch's inductor cannot use
from tests.once import kept_runs, train_once
from tests.patience import limited
from tests.warm import WarmProcess, run_command
from tests.warm_jobs import served as served_jobs
from tests.warm_ranks import served

__all__ = ["kept_runs", "train_once"]

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as `loom` does
if "PYTEST_XDIST_WORKER" in os.environ:  # workers would fight over the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

DATA = Path(__file__).parent / "data"
HUB_CORPORA = ("wikitext103", "bookcorpus", "c4", "openwebtext")
TINY = [
    "corpus=text",
    f"corpus.path={DATA / 'alice.txt'}",
    "tokenizer=byte",
    "sequence_length=16",
    "global_batch_size=4",
    "budget.steps=2",
    "logger=none",
    "callbacks=[]",
    "precision=fp32",  # runs are compared to the last bit
    "trainer.limit_val_batches=2",
    "trainer.log_every_n_steps=1",
]
TINY_MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]


def pytest_collection_finish() -> None:
    """What is imported by now stays; Python need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """No test waits for ever for a process."""
    with limited():
        yield


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of tokenizers and token files for the whole test session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def warm() -> Iterator[Callable[..., WarmProcess]]:
    """Start `loom`, its imports done; what still runs at the end of the test is killed.

    Python would wait for it at its own end, and one that stands still never ends.
    """
    processes: list[WarmProcess] = []

    def start(*given: Any, **settings: Any) -> WarmProcess:
        processes.append(WarmProcess(*given, **settings))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


@pytest.fixture
def warm_ranks() -> Iterator[None]:
    """Runs of this process start their further processes with the imports done."""
    with served():
        yield


@pytest.fixture
def warm_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports are held against their runs by processes that begin with the imports done."""
    monkeypatch.setattr("loomlab.run.exporting.subprocess", SimpleNamespace(run=run_command))


@pytest.fixture
def warm_jobs() -> Iterator[None]:
    """Sweeps of this process fork their jobs from where the imports are done."""
    with served_jobs():
        yield


@pytest.fixture(scope="session")
def local_copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny copies of what is on the hub: bert/, llama/, tokenizer/ and dataset/."""
    from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM

    from loomlab.tokenizer.byte_bpe import ByteBPE

    folder = tmp_path_factory.mktemp("copies")
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2,
             "intermediate_size": 32, "vocab_size": 600}  # fmt: skip
    BertForMaskedLM(BertConfig(**sizes)).save_pretrained(folder / "bert")
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(folder / "llama")
    paragraphs = (DATA / "alice.txt").read_text().split("\n\n")
    ByteBPE(300).train(paragraphs).save_pretrained(folder / "tokenizer")
    (folder / "dataset").mkdir()
    for split, part in (("train", paragraphs[20:]), ("validation", paragraphs[:20])):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in part)
        (folder / "dataset" / f"{split}-00000-of-00001.jsonl").write_text(rows)
    return folder


@pytest.fixture(scope="session")
def offline_settings(local_copies: Path) -> Callable[[str, str], list[str]]:
    """Settings that let an option run on local copies; none for an option that needs no hub."""
    tokenizer = ["tokenizer.package=null", f"tokenizer.name={local_copies / 'tokenizer'}"]
    dataset = ["corpus.name=null", "corpus.config=null", f"corpus.path={local_copies / 'dataset'}"]
    known = {
        "model/minilm": ["model.package=null", f"model.name={local_copies / 'bert'}"],
        "model/smollm2": ["model.package=null", f"model.name={local_copies / 'llama'}"],
        **{f"tokenizer/{name}": tokenizer for name in ("hf", "minilm", "smollm2")},
        **{f"corpus/{name}": dataset for name in ("hf", *HUB_CORPORA)},
    }
    return lambda axis, option: known.get(f"{axis}/{option}", [])


@pytest.fixture
def tiny(tmp_path: Path, cache_dir: Path) -> Callable[..., list[str]]:
    """Overrides of a tiny experiment in a folder of its own; more overrides win."""

    def overrides(*more: str, folder: str = "run") -> list[str]:
        paths = [f"paths.cache_dir={cache_dir}", f"paths.output_dir={tmp_path / folder}"]
        return [*TINY, *paths, *more]

    return overrides


@pytest.fixture
def train(tiny: Callable[..., list[str]]) -> Iterator[Callable[..., "object"]]:
    """Check, compose and run a tiny experiment in this process; gives its RunFolder."""
    from hydra.core.global_hydra import GlobalHydra

    def run(*more: str, folder: str = "run") -> object:
        from loomlab.compose.gate import check
        from loomlab.run.prepared import prepare_folder
        from loomlab.run.session import execute

        overrides = tiny(*more, folder=folder)
        checked = check(overrides)
        assert not checked.problems, checked.message()
        run_folder, config = prepare_folder(checked.configs[0], overrides)
        execute(config, run_folder)
        return run_folder

    yield run
    GlobalHydra.instance().clear()


@pytest.fixture
def same() -> Callable[..., None]:
    """Assert that a spread run is the run of one process: losses to 1e-5, weights to 5e-5."""
    import torch
    from safetensors.torch import load_file

    from loomlab.run.metrics_file import read_metrics

    def check(alone: Any, pair: Any) -> None:
        rows, others = read_metrics(alone.metrics), read_metrics(pair.metrics)
        assert [row["step"] for row in others] == [row["step"] for row in rows]
        for row, other in zip(rows, others, strict=True):
            assert other["train/loss"] == pytest.approx(row["train/loss"], abs=1e-5)
            assert other["tokens"] == row["tokens"]
            assert ("val/loss" in other) == ("val/loss" in row)
            if "val/loss" in row:
                assert other["val/loss"] == pytest.approx(row["val/loss"], abs=1e-5)
                assert other["val/accuracy"] == pytest.approx(row["val/accuracy"], abs=1e-3)
        weights = [load_file(f.model / "model.safetensors") for f in (alone, pair)]
        assert weights[0].keys() == weights[1].keys()
        for key, value in weights[0].items():
            torch.testing.assert_close(weights[1][key], value, rtol=0, atol=5e-5)
        assert pair.summary()["status"] == "finished"
        assert pair.summary()["best"]["val/loss"] == pytest.approx(
            alone.summary()["best"]["val/loss"], abs=1e-5
        )

    return check


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Hydra's handlers write to the folder, and to the captured output, of one test."""
    root = logging.getLogger()
    before, level, disabled = list(root.handlers), root.level, logging.root.manager.disable
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.disable(disabled)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):  # a config of logs disables those that it omits
            logger.disabled = False


@pytest.fixture(autouse=True)
def modules_as_before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Folders of a test's own code are looked through by it alone."""
    from loomlab import allow

    path, chosen, own = set(sys.path), set(allow._chosen), str(tmp_path_factory.getbasetemp())
    yield
    sys.path[:] = [place for place in sys.path if place in path or not place.startswith(own)]
    allow._chosen.clear()
    allow._chosen.update(chosen)


@pytest.fixture
def ended(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `loom` in this process as a user does: exit code and errors."""
    from loomlab.entry.cli import main

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def refused(
    ended: Callable[..., tuple[int, str]], tiny: Callable[..., list[str]], tmp_path: Path
) -> Callable[..., str]:
    """Assert that a tiny run is refused as it should be; returns the sentence."""

    def check(*overrides: str, model: list[str] = TINY_MODEL) -> str:
        code, said = ended("train", *tiny(*model, *overrides, folder="new/run"))
        assert code == 2, said
        assert "Traceback" not in said
        assert len(said.strip().splitlines()) <= 2, said  # a heading and the problem
        assert not (tmp_path / "new").exists(), "what was made for the run is gone again"
        return said

    return check


@pytest.fixture
def unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """A hub that never answers; filled with how long each attempt to reach anything may take."""
    limits: list[float | None] = []

    def connect(address: Any, timeout: float | None = None, *_: Any, **__: Any) -> None:
        limits.append(timeout)
        raise TimeoutError(f"{address} does not answer")

    monkeypatch.setattr(socket, "create_connection", connect)
    for name in ("HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://192.0.2.1")  # for documentation (RFC 5737)
    return limits


@pytest.fixture
def wandb_server() -> Iterator[Any]:
    """A recording double of the W&B server, on a port of its own."""
    path = Path(__file__).parent / "logger" / "wandb_server.py"
    spec = importlib.util.spec_from_file_location("wandb_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["wandb_server"] = module  # where its dataclasses look for their types
    spec.loader.exec_module(module)
    server = module.WandbServer()
    yield server
    server.stop()
