"""Draw the study: both jobs before training and after each epoch, and what the GPT writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from runpy import run_path
from typing import NamedTuple

from loomlab.errors import InputError
from loomlab.report.publish import record
from loomlab.report.ranking import Row
from loomlab.report.statistics import mean_and_spread
from loomlab.run.constructor import constructor
from loomlab.run.metrics_file import read_metrics

JOBS = {"gpt": "val/bits_per_byte", "bert": "val/accuracy"}
ARMS = {
    "full": "pretrained, all weights",
    "lora": "pretrained, LoRA",
    "scratch": "from scratch, all weights",
}
LABELLED = ("val/accuracy", "val/f1", "val/matthews")
SHOWN = 160  # characters of a sample
Curve = dict[int, dict[str, float]]  # the held-out numbers of a run at each step of a validation


class Arm(NamedTuple):
    """The seeds of one way to train."""

    rows: list[Row]
    curves: list[Curve]
    trainable: int
    seconds: float

    def after(self, epoch: int, metric: str) -> str:
        """A held-out number over seeds after so many epochs (0: before training; -1: the end)."""
        return over_seeds(list(c.values())[epoch][metric] for c in self.curves)

    def epochs(self) -> int:
        """Epochs that all seeds have behind them."""
        return min(len(c) for c in self.curves) - 1


def arms(rows: Sequence[Row], job: str) -> dict[str, Arm]:
    """The arms of a job, which are the names of its sweeps, in the order of the table."""
    grouped: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda r: r.seed or 0):
        name, _, arm = row.folder.path.parent.name.partition("_")
        if name == job:
            grouped.setdefault(arm, []).append(row)
    return {name: _arm(grouped[name]) for name in ARMS if name in grouped}


def _arm(rows: list[Row]) -> Arm:
    summary = rows[0].summary
    counted = next(iter((summary.get("compression") or {}).values()), {})
    trainable = int(counted.get("trainable_parameters", summary["parameters"]))
    seconds, _ = mean_and_spread([row.costs["seconds"] for row in rows])
    return Arm(rows, [curve(row) for row in rows], trainable, seconds or 0.0)


def curve(row: Row) -> Curve:
    """The validations of a run."""
    lines = read_metrics(row.folder.metrics)
    found = {
        int(line["step"]): {k: v for k, v in line.items() if k.startswith("val/")}
        for line in lines
    }
    return {step: numbers for step, numbers in found.items() if numbers}


def over_seeds(values: Iterable[float]) -> str:
    """Mean and standard deviation."""
    mean, spread = mean_and_spread(list(values))
    return f"{mean:.3f}" + ("" if spread is None else f" +- {spread:.3f}")


def table_of_text(found: dict[str, Arm]) -> list[str]:
    """Held-out bits per byte of the GPTs, an epoch a column."""
    epochs = min(arm.epochs() for arm in found.values())
    after = [f"after epoch {n}" for n in range(1, epochs + 1)]
    lines = _head("GPT: bits per byte", "trained weights", "before", *after, "seconds")
    for name, arm in found.items():
        numbers = [arm.after(n, JOBS["gpt"]) for n in range(epochs + 1)]
        lines.append(_line(ARMS[name], f"{arm.trainable:,}", *numbers, f"{arm.seconds:.0f}"))
    return lines


def table_of_labels(found: dict[str, Arm]) -> list[str]:
    """Held-out accuracy of the BERTs, an epoch a column, beside what words alone tell."""
    epochs = min(arm.epochs() for arm in found.values())
    after = [f"after epoch {n}" for n in range(1, epochs + 1)]
    lines = _head(
        "BERT: accuracy", "trained weights", "before", *after, "macro F1", "Matthews", "seconds"
    )
    nothing = ["-"] * epochs
    for name, numbers in baselines(next(iter(found.values())).rows[0]).items():
        accuracy, *others = (f"{numbers[metric]:.3f}" for metric in LABELLED)
        lines.append(_line(name, "-", *nothing, accuracy, *others, "-"))
    for name, arm in found.items():
        accuracies = [arm.after(n, LABELLED[0]) for n in range(epochs + 1)]
        others = [arm.after(epochs, metric) for metric in LABELLED[1:]]
        cells = [*accuracies, *others, f"{arm.seconds:.0f}"]
        lines.append(_line(ARMS[name], f"{arm.trainable:,}", *cells))
    return lines


def baselines(row: Row) -> dict[str, dict[str, float]]:
    """What the words of the texts that a run was trained on tell, and those of all texts.

    Raises:
        InputError: scikit-learn is not there.
    """
    try:
        measure = run_path(str(Path(__file__).with_name("baseline.py")))["measure"]
    except ImportError as error:
        raise InputError(
            f"the bag of words needs scikit-learn ({error}): `pip install scikit-learn`, then "
            "`loom study finetuning --redraw`"
        ) from error
    config = row.folder.config()
    corpus = constructor(config.corpus)(cache_dir=Path(config.paths.cache_dir))
    most = config.corpus.max_samples
    texts = sum(1 for _ in corpus.documents("train"))
    found = {}
    for rows in dict.fromkeys((min(most or texts, texts), texts)):
        for name, numbers in measure(corpus, rows).items():
            found.setdefault(name if name.startswith("always") else f"{name}, {rows:,} texts",
                             numbers)  # fmt: skip
    return found


def texts(found: dict[str, Arm]) -> list[str]:
    """What the first seed of each arm wrote at each validation."""
    lines = []
    for name, arm in found.items():
        path = arm.rows[0].folder.path / "samples.jsonl"
        written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        lines += ["", f"What the GPT writes ({ARMS[name]}, seed {arm.rows[0].seed}):", ""]
        for epoch, step in enumerate(arm.curves[0]):
            when = f"after epoch {epoch}" if epoch else "before"
            lines += [f"- {when}: {_cut(s['text'])}" for s in written if s["step"] == step]
    return lines


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return f'"{words[:SHOWN]}{" ..." if len(words) > SHOWN else ""}"'


def _head(*names: str) -> list[str]:
    return [_line(*names), "|" + "---|" * len(names)]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def table(gpt: dict[str, Arm], bert: dict[str, Arm]) -> str:
    """Both jobs in Markdown, as far as they were run."""
    parts = [
        *(["\n".join(table_of_text(gpt))] if gpt else []),
        *(["\n".join(table_of_labels(bert))] if bert else []),
        *(["\n".join(texts(gpt)).strip()] if gpt else []),
    ]
    return "\n\n".join(parts)


def draw_figure(jobs: dict[str, dict[str, Arm]], path: Path) -> None:
    """A panel for each job: its number over epochs, a line for each run."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    size = (4.8 * len(jobs), 3.8)
    figure, panels = plt.subplots(1, len(jobs), figsize=size, layout="constrained", squeeze=False)
    for panel, (job, found) in zip(panels[0], jobs.items(), strict=True):
        for number, (name, arm) in enumerate(found.items()):
            values = [[n[JOBS[job]] for n in curve.values()] for curve in arm.curves]
            first, *_ = [panel.plot(line, "o-", color=f"C{number}")[0] for line in values]
            first.set_label(ARMS[name])
        panel.set_title(job)
        panel.set_xlabel("epochs")
        panel.set_ylabel(f"held-out {JOBS[job].removeprefix('val/').replace('_', ' ')}")
        panel.locator_params(axis="x", integer=True)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw(rows: list[Row], output: Path, study_folder: Path | None) -> None:
    """Print the tables; write table.md and figure.png."""
    jobs = {job: found for job in JOBS if (found := arms(rows, job))}
    text = table(jobs.get("gpt", {}), jobs.get("bert", {}))
    print(text)
    record(text, lambda path: draw_figure(jobs, path), output, study_folder)
