"""What the runs of a sweep wrote, cut to what a page can carry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

STEPS = 5  # of a run: the first, the last, and some between
LONGEST = 600  # characters of one sample
HEADING = re.compile(r"^--- step (\d+)$", re.MULTILINE)


def samples(folder: Path, budget: int) -> list[dict[str, Any]]:
    """The samples of a run: of the probe (samples.jsonl), or else of the callback (samples.txt).

    At most `budget` characters; the last steps are kept.
    """
    found = _of_probe(folder / "samples.jsonl") or _of_callback(folder / "samples.txt")
    steps = sorted({s["step"] for s in found})
    kept = (
        {steps[round(i * (len(steps) - 1) / (STEPS - 1))] for i in range(STEPS)} if steps else ()
    )
    chosen: list[dict[str, Any]] = []
    for step in sorted(kept, reverse=True):
        now = [s for s in found if s["step"] == step]
        budget -= sum(len(s["text"]) + len(s["prompt"]) for s in now)
        if budget < 0 and chosen:
            break
        chosen += now
    return chosen


def _of_probe(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # a line that a running job is writing
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            found.append(_sample(row))
    return found


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    sample = {"step": row["step"], "prompt": str(row.get("prompt", ""))[:LONGEST]}
    sample["text"] = str(row.get("text", ""))[:LONGEST]
    if isinstance(row.get("temperature"), int | float):
        sample["temperature"] = row["temperature"]
    return sample


def _of_callback(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    _, *parts = HEADING.split(path.read_text(encoding="utf-8", errors="replace"))
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [_sample({"step": int(step), "text": text.strip()}) for step, text in pairs]
