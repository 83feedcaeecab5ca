"""A sweep's views at W&B as code: a workspace to explore in and a report to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loomlab.errors import InputError
from loomlab.logger.wandb_settings import group_of, project_of
from loomlab.report.collect import collect
from loomlab.report.metric import LIKELIHOOD
from loomlab.report.row import Row, read_config
from loomlab.report.settings import SEED
from loomlab.run.ledger import is_sweep
from loomlab.secrets import is_secret

AXES = ("tokens", "flops", "seconds")  # what a step had cost, beside each number of a run
COSTS = ("parameters", "training_seconds", "peak_memory_bytes")  # in the summary of a run
TRAINING = "train/loss"
MOST_RUNS = 100  # lines or bars of one panel
DECADE = 9.9  # a number that is swept over such a factor or more has a logarithmic axis


@dataclass(frozen=True)
class Subject:
    """What the views are of: the runs of a sweep, and where W&B has them.

    `settings` are the keys of a run's config that the sweep varies, with whether their axis is
    logarithmic.
    """

    name: str
    project: str
    entity: str
    group: str
    metric: str
    settings: dict[str, bool]
    runs: int
    more_is_better: bool = False

    @property
    def best(self) -> str:
        """The best of the metric, in the summary of each run."""
        return f"best/{self.metric}"

    @property
    def less_is_better(self) -> bool:
        """Whether the best run is the first of an ascending order."""
        return not self.more_is_better


def subject(folder: Path, entity: str | None = None, project: str | None = None) -> Subject:
    """What the ledger and the runs of a sweep tell.

    Raises:
        InputError: the folder is none of a sweep, or W&B was not told of its runs.
    """
    if not is_sweep(folder):
        raise InputError(f"{folder} is no sweep: give the folder that `loom train -m` named")
    rows = collect([folder])
    logger = _logger(rows)
    if not logger:
        raise InputError(
            f"no run of {folder} was logged to W&B: train with logger=wandb (or logger=many)"
        )
    metrics = Counter(row.metric for row in rows if row.metric).most_common(1)
    metric = metrics[0][0] if metrics else LIKELIHOOD
    return Subject(
        name=folder.resolve().name,
        project=project or project_of(logger.get("project")),
        entity=entity or str(logger.get("entity") or ""),
        group=str(group_of(logger.get("group"), folder.resolve().name)),
        metric=metric,
        more_is_better=any(row.prefers_more(metric) for row in rows),
        settings=_settings(rows),
        runs=len(rows),
    )


def _logger(rows: Sequence[Row]) -> dict[str, Any]:
    """Settings of the W&B logger, of the first run that had one."""
    for row in rows:
        config, _ = read_config(row.folder)
        if found := ((config or {}).get("logger") or {}).get("wandb"):
            return dict(found)
    return {}


def _settings(rows: Sequence[Row]) -> dict[str, bool]:
    """Keys of the config that tell the jobs apart; of an axis, that of the option chosen."""
    axes = {axis for row in rows if row.settings.whole for axis in row.choice}
    values: dict[str, list[str]] = {}
    for row in rows:
        for key, value in (row.job.differs if row.job else {}).items():
            values.setdefault(key.lstrip("+"), []).append(value)
    return {
        f"choice.{key}" if key in axes else key: key != SEED and _over_decades(found)
        for key, found in values.items()
        if not is_secret(key.rpartition(".")[2])
    }


def _over_decades(values: Sequence[str]) -> bool:
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return False
    return min(numbers) > 0 and max(numbers) / min(numbers) > DECADE


def sections(of: Subject) -> Iterator[tuple[str, list[Any]]]:
    """Headings and panels; made anew at every call, as each view needs its own."""
    import wandb_workspaces.reports.v2 as wr

    best = wr.SummaryMetric(of.best)
    yield "Ranking", [
        wr.BarPlot(title=f"Best {of.metric}", metrics=[best], max_runs_to_show=MOST_RUNS,
                   max_bars_to_show=MOST_RUNS),
        wr.RunComparer(diff_only="split"),
    ]  # fmt: skip
    yield (
        "Curves",
        [
            wr.LinePlot(title=f"{name} against {x}", x=x, y=[name], max_runs_to_show=MOST_RUNS)
            for name in (of.metric, TRAINING)
            for x in AXES
        ],
    )
    column = wr.ParallelCoordinatesPlotColumn
    columns = [column(wr.Config(key), log=log or None) for key, log in of.settings.items()]
    yield "Settings", [
        wr.ParallelCoordinatesPlot(
            title=f"What led to {of.metric}", columns=[*columns, column(best)],
            layout=wr.Layout(w=24, h=10),
        ),
        wr.ParameterImportancePlot(with_respect_to=of.best),
    ]  # fmt: skip
    yield "Quality against cost", [
        wr.ScatterPlot(title=f"{of.metric} against {cost}", x=wr.SummaryMetric(cost), y=best,
                       log_x=True)
        for cost in COSTS
    ]  # fmt: skip


def workspace(of: Subject) -> Any:
    """A saved view: the sweep's runs, the best first, with panels of all kinds."""
    import wandb_workspaces.expr as expr
    import wandb_workspaces.workspaces as ws

    columns = [f"summary:{of.best}", *(f"config:{_column(key)}" for key in of.settings)]
    return ws.Workspace(
        entity=of.entity, project=of.project, name=f"Sweep {of.name}",
        sections=[ws.Section(name=name, panels=panels, is_open=True)
                  for name, panels in sections(of)],
        settings=ws.WorkspaceSettings(x_axis=AXES[0], max_runs=min(max(of.runs, 10), MOST_RUNS)),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(expr.Metric("Group") == of.group),
            order=[expr.Ordering(expr.Summary(of.best), ascending=of.less_is_better)],
            pinned_columns=columns,
        ),
    )  # fmt: skip


def _column(key: str) -> str:
    """A key of the config as a table of runs names it."""
    first, dot, rest = key.partition(".")
    return f"{first}.value{dot}{rest}"


def report(of: Subject) -> Any:
    """A page with the same panels and a few words."""
    import wandb_workspaces.expr as expr
    import wandb_workspaces.reports.v2 as wr

    better = "lower" if of.less_is_better else "higher"
    words = (f"The {of.runs} runs of sweep {of.name}, by {of.metric} ({better} is better); "
             f"varied: {', '.join(of.settings) or 'nothing'}.")  # fmt: skip
    blocks: list[Any] = [wr.P(words)]
    for name, panels in sections(of):
        runs = wr.Runset(  # without a project: that of the report
            name=of.name, filters=expr.And(expr.Metric("Group") == of.group),
            order=[wr.OrderBy(wr.SummaryMetric(of.best), ascending=of.less_is_better)],
        )  # fmt: skip
        blocks += [wr.H2(name), wr.PanelGrid(runsets=[runs], panels=panels)]
    title = f"Sweep {of.name}"[:128]
    return wr.Report(project=of.project, entity=of.entity, title=title, blocks=blocks,
                     width="fluid")  # fmt: skip


def as_plain(of: Subject) -> dict[str, Any]:
    """Both as what W&B is sent, for which no key is needed."""
    how: dict[str, Any] = {"by_alias": True, "exclude_none": True, "mode": "json"}
    return {
        "workspace": workspace(of)._to_model().model_dump(**how),
        "report": report(of)._to_model().model_dump(**how),
    }
