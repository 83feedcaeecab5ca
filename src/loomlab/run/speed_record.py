"""How fast runs were on this machine, kept beside the cache, to say what a sweep will take."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from loomlab.compose.choices import chosen
from loomlab.run.folder import write_atomically
from loomlab.text.identity import content_key

FILE = "speeds.json"
DECIDES = (
    "model", "attention", "position", "objective", "precision", "compile", "parallelism",
    "activation_checkpointing",
)  # fmt: skip
KEPT = 500  # kinds of runs; the oldest go


def kind_of_run(config: DictConfig, threads: int) -> str:
    """What speed depends on, as a short hash."""
    picks = {axis: chosen(config).get(axis) for axis in DECIDES}
    model = OmegaConf.to_container(config.model, resolve=True)
    return content_key(picks, model, config.sequence_length, threads)


def current_threads() -> int:
    """Computing threads of this process, before torch is asked."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def remember_speed(config: DictConfig, summary: dict[str, Any]) -> None:
    """Keep tokens a second, and the seconds before and after training, of a finished run."""
    if not summary["training_seconds"] or not summary["tokens"]:
        return
    path = Path(config.paths.cache_dir) / FILE
    records = _read(path)
    kind = kind_of_run(config, current_threads())
    records.pop(kind, None)
    records[kind] = {
        "tokens_per_second": round(summary["tokens"] / summary["training_seconds"], 1),
        "beside": round(summary["seconds"] - summary["training_seconds"], 1),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(dict(list(records.items())[-KEPT:]), indent=1))


def expected_seconds(config: DictConfig, tokens: int | None, threads: int) -> float | None:
    """Seconds a run will take, if its budget says or one of its kind was timed here."""
    record = _read(Path(config.paths.cache_dir) / FILE).get(kind_of_run(config, threads))
    if config.budget.seconds is not None:
        return float(config.budget.seconds) + (record["beside"] if record else 0.0)
    if record is None or tokens is None:
        return None
    return float(tokens / record["tokens_per_second"] + record["beside"])


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
