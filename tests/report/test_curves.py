"""Learning curves as a picture."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.image

from loomlab.report.curves import draw_curves
from loomlab.report.ranking import finished_rows
from loomlab.run.folder import RunFolder

Train = Callable[..., RunFolder]
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


def test_a_panel_for_each_kind_of_likelihood(train: Train, tmp_path: Path):
    train(*SMALL, "budget.steps=4", folder="gpt")
    train("model=ngram", folder="ngram")
    one = finished_rows([tmp_path])
    draw_curves(one, ["model"], tmp_path / "one.png")
    train(*SMALL, "model=bert", "objective=mlm", folder="bert")
    both = finished_rows([tmp_path])
    draw_curves(both, ["model", "position"], tmp_path / "both.png")
    single, double = (matplotlib.image.imread(tmp_path / f"{n}.png") for n in ("one", "both"))
    assert double.shape[1] == 2 * single.shape[1]
    assert double.shape[0] == single.shape[0]


def test_the_curves_are_drawn(train: Train, tmp_path: Path):
    """A line that is not there before: more colours than a picture without points."""
    train(*SMALL, "budget.steps=4", folder="gpt")
    rows = finished_rows([tmp_path])
    draw_curves(rows, ["model"], tmp_path / "lines.png")
    draw_curves(rows, ["model"], tmp_path / "empty.png", metric="val/no_such_metric")
    drawn, empty = (matplotlib.image.imread(tmp_path / f"{n}.png") for n in ("lines", "empty"))
    first_colour = (drawn[..., 2] > drawn[..., 0] + 0.3).sum()
    assert first_colour > (empty[..., 2] > empty[..., 0] + 0.3).sum()


def test_one_number_alone_is_a_level_line(train: Train, tmp_path: Path):
    train("model=ngram", folder="ngram")
    rows = finished_rows([tmp_path])
    draw_curves(rows, ["model"], tmp_path / "line.png")
    draw_curves(rows, ["model"], tmp_path / "empty.png", metric="val/no_such_metric")
    drawn, empty = (matplotlib.image.imread(tmp_path / f"{n}.png") for n in ("line", "empty"))
    widest = [(image[..., :3].max(axis=-1) < 0.3).sum(axis=1) for image in (drawn, empty)]
    dashed = (widest[0] > 0.25 * drawn.shape[1]).sum()
    assert dashed > (widest[1] > 0.25 * empty.shape[1]).sum(), "beside the frame of the panel"
