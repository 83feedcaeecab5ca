"""Made-up sweeps for the tests of reports: ledger and run folders as training leaves them."""

import csv
import importlib.util
import itertools
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from loomlab.report.page import write_report
from loomlab.run.ledger import DONE, FAILED, INTERRUPTED, PENDING, RUNNING, Job, Ledger

METRICS = ("train/loss", "lr", "grad_norm", "tokens_per_second")
OPTIMIZERS, LEARNING_RATES = ("adamw", "sgd", "lion", "muon"), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
PROMPTS = ("It was a", "The old man")


def _write_metrics(
    folder: Path, rows: int, lr: float, optimizer: str, seed: int, width: int
) -> tuple[float, float]:
    """metrics.csv of a plausible run; its best bits per byte, and its seconds."""
    dice = random.Random(f"{lr} {optimizer} {seed} {width}")
    speed = dice.uniform(0.02, 0.03) * width / 64
    floor = 2.1 + 0.15 * OPTIMIZERS.index(optimizer) + 0.3 * abs(math.log10(lr / 1e-3))
    floor += dice.gauss(0, 0.03) - 0.2 * math.log2(width / 64)
    best = math.inf
    with (folder / "metrics.csv").open("w", newline="") as file:
        columns = ["step", "tokens", "flops", "seconds", *METRICS]
        writer = csv.DictWriter(file, [*columns, "val/loss", "val/bits_per_byte"])
        writer.writeheader()
        for number in range(1, rows + 1):
            step, mean = 10 * number, floor + 5.5 * math.exp(-6 * number / rows)
            row = dict.fromkeys(columns, mean + dice.gauss(0, 0.05))
            row |= {"step": step, "tokens": step * 8192, "flops": step * width**2 * 90000}
            row |= {"seconds": round(step * speed, 3), "lr": lr * (1 - number / rows)}
            if number % 25 == 0 or number == rows:
                held_out = mean / 1.9 + dice.gauss(0, 0.003)
                row |= {"val/loss": held_out * 1.9, "val/bits_per_byte": held_out}
                best = min(best, held_out)
            writer.writerow(row)
    return best, rows * 10 * speed


def write_run(folder: Path, rows: int, lr: float, optimizer: str, seed: int, width: int) -> float:
    """A finished run folder; its best bits per byte."""
    folder.mkdir(parents=True)
    best, seconds = _write_metrics(folder, rows, lr, optimizer, seed, width)
    choice = {"model": "gpt", "objective": "clm", "optimizer": optimizer, "regularization": []}
    config = {"seed": seed, "model": {"width": width}, "optimizer": {"lr": lr}, "choice": choice}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    numbers = {"val/loss": best * 1.9, "val/bits_per_byte": best}
    summary = {
        "schema_version": 1, "status": "finished", "choice": choice, "best": numbers,
        "final": numbers, "metric": "val/bits_per_byte", "parameters": width**2 * 50, "owns": [],
        "tokens": rows * 81920, "flops": rows * width**2 * 9e5, "seconds": seconds + 2,
        "training_seconds": seconds, "peak_memory_bytes": 5 * 10**8 + width * 10**6,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    lines = [
        {"step": step, "prompt": prompt, "temperature": heat,
         "text": f"{prompt} {'rather ' * (step // 200 % 7)}curious dream of {optimizer}, {heat}."}
        for step in (rows * 5, rows * 10) for prompt in PROMPTS for heat in (0.0, 0.7)
    ]  # fmt: skip
    (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return best


def _job(number: int, folder: str, settings: dict[str, str], **more: object) -> Job:
    overrides = [f"{key}={value}" for key, value in settings.items()]
    return Job(f"key{number:017d}", number, folder, overrides, settings, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def make_sweep() -> Callable[..., Path]:
    """Write a sweep: `done` finished jobs, then as many of each other state as asked for."""

    def make(
        folder: Path, done: int = 6, failed: int = 0, running: int = 0, pending: int = 0,
        interrupted: int = 0, rows: int = 40,
    ) -> Path:  # fmt: skip
        ledger = Ledger(folder)
        ledger.define(
            {"arguments": ["optimizer=adamw,sgd,lion,muon", "seed=1,2"], "code": "0.1.0"}
        )
        grid = itertools.product((1, 2), (64, 128, 256), LEARNING_RATES, OPTIMIZERS)
        states = [DONE] * done + [FAILED] * failed + [RUNNING] * running
        states += [PENDING] * pending + [INTERRUPTED] * interrupted
        jobs = []
        for number, (state, picks) in enumerate(zip(states, grid, strict=False)):
            seed, width, lr, optimizer = picks
            name = f"{number:03d}_optimizer-{optimizer}_seed-{seed}"
            settings = {"optimizer": optimizer, "optimizer.lr": f"{lr:g}", "seed": str(seed),
                        "model.width": str(width)}  # fmt: skip
            more: dict[str, object] = {"state": state}
            if state != PENDING:
                best = write_run(folder / name, rows, lr, optimizer, seed, width)
                more |= {"attempts": 1, "started": 1.7e9, "heartbeat": 1.7e9 + 60}
            if state == DONE:
                more |= {"ended": 1.7e9 + 90, "metric": "val/bits_per_byte", "value": best}
            elif state != PENDING:
                (folder / name / "summary.json").unlink()
            if state == FAILED:
                more |= {"error_type": "OutOfMemoryError", "message": "tried to allocate 2 GiB",
                         "log_tail": "step 120\nRuntimeError: not enough memory"}  # fmt: skip
            jobs.append(_job(number, name, settings, **more))
        ledger.add(jobs)
        return folder

    return make


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium; a test that wants it is skipped where there is none."""
    place = Path(__file__).with_name("chromium.py")
    spec = importlib.util.spec_from_file_location("chromium_for_tests", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.FOUND is None:
        pytest.skip(f"none of {', '.join(module.NAMES)} is installed")
    chromium = module.Chromium(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def report(make_sweep: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "mixed"
    states = {"failed": 1, "running": 1, "pending": 1, "interrupted": 1}
    return write_report(make_sweep(folder, done=12, rows=60, **states))


@pytest.fixture
def seen(browser: Any, report: Path) -> Any:
    """The page as it is opened, for tests that only look at it; opening it takes a second."""
    if browser.page != report:
        browser.open(report)
    return browser


@pytest.fixture
def opened(seen: Any) -> Iterator[Any]:
    """The page as it is opened, for a test that changes it."""
    yield seen
    seen.page = None
