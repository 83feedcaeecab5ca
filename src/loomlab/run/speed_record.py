"""What runs took on this machine, kept beside the cache, to say what a sweep will take."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.choices import chosen
from loomlab.run.folder import write_atomically
from loomlab.text.identity import content_key

FILE = "speeds.json"
DECIDES = (
    "model", "attention", "position", "objective", "compression", "precision", "compile",
    "parallelism", "activation_checkpointing",
)  # fmt: skip
KEPT = 500  # kinds of runs; the oldest go


def kind_of_run(config: DictConfig, threads: int) -> str:
    """What speed depends on, as a short hash; a tokenizer by its settings, for its vocabulary."""
    picks = {axis: chosen(config).get(axis) for axis in DECIDES}
    parts = [OmegaConf.to_container(config[n], resolve=True) for n in ("model", "tokenizer")]
    return content_key(picks, parts, config.sequence_length, threads)


def current_threads() -> int:
    """Computing threads of this process, before torch is asked."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def remember_speed(config: DictConfig, summary: dict[str, Any]) -> None:
    """Keep tokens a second, FLOPs a token, and the seconds beside training, of a finished run."""
    if not summary["training_seconds"] or not summary["tokens"]:
        return
    path = Path(config.paths.cache_dir) / FILE
    records = _read(path)
    kind = kind_of_run(config, current_threads())
    records.pop(kind, None)
    records[kind] = {
        "tokens_per_second": round(summary["tokens"] / summary["training_seconds"], 1),
        "beside": round(summary["seconds"] - summary["training_seconds"], 1),
        "flops_per_token": round((summary.get("flops") or 0.0) / summary["tokens"], 1),
    }
    with contextlib.suppress(OSError):  # a cache that cannot be written must not end the run
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(dict(list(records.items())[-KEPT:]), indent=1))


@dataclass(frozen=True)
class Cost:
    """What a run will take; None for what nobody knows beforehand."""

    seconds: float | None = None
    flops: float | None = None


def expected(config: DictConfig, tokens: int | None, threads: int) -> Cost:
    """What a run will take, as its budget says or by the last of its kind that ran here."""
    record = _read(Path(config.paths.cache_dir) / FILE).get(kind_of_run(config, threads), {})
    return Cost(_seconds(config.budget, tokens, record), _flops(config.budget, tokens, record))


def _seconds(budget: DictConfig, tokens: int | None, record: dict[str, float]) -> float | None:
    if budget.seconds is not None:
        return float(budget.seconds) + record.get("beside", 0.0)
    if not record or tokens is None:
        return None
    return float(tokens / record["tokens_per_second"] + record["beside"])


def _flops(budget: DictConfig, tokens: int | None, record: dict[str, float]) -> float | None:
    if budget.flops is not None:
        return float(budget.flops)
    each = record.get("flops_per_token")  # a record of an earlier version has none
    return float(tokens * each) if tokens is not None and each else None


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
