"""One run as a row: what it was set to, how it stands, what it reached and what it cost."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import yaml

from loomlab.catalog.yaml_file import fault
from loomlab.errors import InputError, first_line
from loomlab.report.metric import LIKELIHOOD, MORE_IS_BETTER, NUMBERS, PSEUDO, PSEUDO_LIKELIHOOD
from loomlab.report.settings import SEED, Settings, of_config, of_overrides, parsed
from loomlab.run.folder import CONFIG, RunFolder
from loomlab.run.ledger import DONE, REFUSED, RUNNING, Job
from loomlab.run.metrics_reading import read_so_far
from loomlab.text.unknown import unread

UNKNOWN = "unknown"  # the state of a run that has not said how it stands
STATES = {"finished": DONE}  # a summary's word for a ledger's; the others are the same
COSTS = ("parameters", "bytes", "tokens", "flops", "seconds", "peak_memory_bytes",
         "latency_seconds")  # fmt: skip
QUIET_SECONDS = 60.0  # a job that runs is heard of more often
TEXT = (".json", ".txt", ".md", ".model", ".jinja")  # of a model's files, those without weights


@dataclass(frozen=True)
class Row:
    """One run, or one job of a sweep that never got that far.

    `best` and `final` are held-out numbers; those of a run that has not ended are the best and
    the last so far. `costs` has what is known of `COSTS`; seconds are those of training, latency
    is that of a held-out batch, which compression measures. `job` is its row in a sweep's ledger,
    and `owns` the axes that its model brings itself.
    """

    name: str
    folder: RunFolder
    state: str
    settings: Settings
    choice: dict[str, Any]
    seed: int | None = None
    metric: str | None = None
    best: dict[str, float] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    owns: tuple[str, ...] = ()
    message: str = ""
    job: Job | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def pseudo(self) -> bool:
        """Whether its likelihood is one of masked tokens."""
        if "kind" in self.summary:
            return bool(self.summary["kind"] == PSEUDO_LIKELIHOOD)
        return self.choice.get("objective") in PSEUDO

    def prefers_more(self, metric: str) -> bool:
        """Whether more of one of its numbers is better."""
        return metric in self.summary.get("more_is_better", MORE_IS_BETTER)

    @property
    def unread(self) -> float:
        """The share of the text that its likelihood counts and its tokens do not carry."""
        return unread(self.summary)

    @property
    def labels(self) -> bool:
        """Whether it predicts labels or numbers, and so has no likelihood of text."""
        return bool(self.best) and LIKELIHOOD not in self.best

    @property
    def numbers(self) -> bool:
        """Whether it predicts numbers of texts."""
        return bool(self.summary.get("kind") == NUMBERS)

    def number(self, name: str) -> float | None:
        """A held-out number or a cost, None where it is not known."""
        return self.best.get(name, self.costs.get(name))


def read_row(name: str, run: RunFolder, job: Job | None) -> Row:
    config, trouble = read_config(run)
    summary, damage = _summary(run)
    overrides = [] if config is None and job else run.overrides()
    settings = of_config(config or {}, overrides)
    if config is None and job:
        settings = of_overrides(job.overrides)
    best, final, costs = _numbers(run, summary)
    seed = (config or {}).get(SEED, _seed(job))
    return Row(
        name=name, folder=run, state=_state(summary, job), settings=settings,
        choice=dict(summary.get("choice") or settings.choice),
        seed=seed, metric=summary.get("metric") or (job.metric if job else None),
        best=best, final=final, costs=costs, owns=tuple(summary.get("owns") or ()),
        message=trouble or damage or _message(summary, job), job=job, summary=summary,
    )  # fmt: skip


def _seed(job: Job | None) -> int | None:
    given = [o.partition("=")[2] for o in (job.overrides if job else ()) if o.startswith("seed=")]
    seed = parsed(given[-1]) if given else None
    return seed if isinstance(seed, int) else None


def read_config(run: RunFolder) -> tuple[dict[str, Any] | None, str]:
    """The recorded settings and what is wrong with them.

    libyaml is ten times as fast as what OmegaConf reads with, and a record has no interpolations.
    """
    path = run.path / CONFIG
    if not path.is_file():
        return None, ""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), loader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        return {}, f"{CONFIG} is damaged: it {fault(error)}"
    return (config, "") if isinstance(config, dict) else ({}, f"{CONFIG} holds no settings")


def _summary(run: RunFolder) -> tuple[dict[str, Any], str]:
    try:
        return run.summary(), ""
    except InputError as error:
        return {}, str(error).removeprefix(f"{run.path}/")
    except OSError as error:
        return {}, f"summary.json is damaged: {first_line(error)}"


def _state(summary: dict[str, Any], job: Job | None) -> str:
    """How it stands: what the ledger says, unless the run was finished by hand since."""
    status = str(summary.get("status", UNKNOWN))
    told = STATES.get(status, status)
    return told if job is None or told == DONE else job.state


def _message(summary: dict[str, Any], job: Job | None) -> str:
    """Why it stands as it does, in a line."""
    if share := unread(summary):
        return f"{share:.1%} of its text is carried by no token, so it is not ranked"
    if job is None or job.state == DONE:
        return str(summary.get("error") or "").partition("\n")[0]
    silent = time.time() - job.heartbeat if job.heartbeat else 0.0
    if job.state == RUNNING and silent > QUIET_SECONDS:
        return f"not heard of for {silent:.0f} s"
    kind = f"{job.error_type}: " if job.error_type and job.state != REFUSED else ""
    return f"{kind}{job.message or ''}"


def _numbers(
    run: RunFolder, summary: dict[str, Any]
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Best and last held-out numbers and costs; of a run without a summary of them, so far."""
    best, final = _results(summary.get("best")), _results(summary.get("final"))
    told = {**summary, "seconds": summary.get("training_seconds")}  # without what comes before
    compressed = summary.get("compressed")
    if isinstance(compressed, dict):
        told["latency_seconds"] = _plain(compressed.get("after")).get("latency_seconds")
    costs = _plain({name: told.get(name) for name in COSTS})
    if summary.get("best") is None:
        rows = read_so_far(run.metrics)
        best, final = _held_out(rows, summary.get("more_is_better", MORE_IS_BETTER))
        last = rows[-1] if rows else {}
        costs = {k: last[k] for k in ("tokens", "flops", "seconds") if k in last} | costs
    if size := model_bytes(run):
        costs["bytes"] = size
    return best, final or best, costs


def _plain(node: Any) -> dict[str, float]:
    """The numbers of a recorded object, without what is null."""
    if not isinstance(node, dict):
        return {}
    return {name: value for name, value in node.items() if isinstance(value, int | float)}


def _results(node: Any) -> dict[str, float]:
    """The held-out numbers of a summary, in which null is what was no finite number."""
    if not isinstance(node, dict):
        return {}
    return _plain({name: math.nan if value is None else value for name, value in node.items()})


def _held_out(
    rows: list[dict[str, Any]], more: Collection[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Best and last of every held-out number; what is no number is never the best."""
    series: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if name.startswith("val/"):
                series.setdefault(name, []).append(value)
    best = {}
    for name, values in series.items():
        better = max if name in more else min
        best[name] = better((v for v in values if not math.isnan(v)), default=math.nan)
    return best, {name: values[-1] for name, values in series.items()}


def model_bytes(run: RunFolder) -> int:
    """Size of a finished model's weights on disk; 0 for none."""
    if not run.model.is_dir():
        return 0
    files = [p for p in run.model.iterdir() if p.is_file() and p.suffix not in TEXT]
    return sum(p.stat().st_size for p in files)
