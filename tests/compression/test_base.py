"""What techniques share: no-ops unless they say otherwise, and their order."""

import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from loomlab.allow import resolve
from loomlab.catalog.options import Catalog
from loomlab.catalog.search import package_conf
from loomlab.compression.base import Compression, in_order
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]
# Two techniques that only note when their moments come.
MODULE = '''
from loomlab.compression.base import Compression

MOMENTS = []


class Noting(Compression):
    """Notes its moments."""

    def __init__(self, tag: str = "") -> None:
        self.tag = tag

    def transform(self, model):
        MOMENTS.append(f"transform {self.tag}")
        return model

    def wrap_loss(self, objective):
        MOMENTS.append(f"wrap_loss {self.tag}")
        return objective

    def callbacks(self):
        MOMENTS.append(f"callbacks {self.tag}")
        return []

    def finalize(self, model):
        MOMENTS.append(f"finalize {self.tag}")
        return model

    def report(self):
        return {"moments": float(len(MOMENTS))}


class Early(Noting):
    """Acts first."""

    stage = 10

    def __init__(self, tag: str = "early") -> None:
        super().__init__(tag)


class Late(Noting):
    """Acts last."""

    stage = 90

    def __init__(self, tag: str = "late") -> None:
        super().__init__(tag)


class Nothing(Compression):
    """Overrides nothing."""

    def __init__(self) -> None:
        pass
'''


@pytest.fixture
def own_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """compression=[late], [early] and [nothing], in a folder of the user."""
    # the module is a file of this test alone: nothing of another test's may be found in its place
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("noting_techniques", None)
    (tmp_path / "mine" / "conf" / "compression").mkdir(parents=True)
    (tmp_path / "mine" / "noting_techniques.py").write_text(MODULE)
    for option in ("late", "early", "nothing"):
        (tmp_path / "mine" / "conf" / "compression" / f"{option}.yaml").write_text(
            f"# @package compression.{option}\n"
            f"defaults: [/schema/compression/{option}@_here_, _self_]\n"
            f"_target_: noting_techniques.{option.capitalize()}\n"
        )
    monkeypatch.setenv("LOOM_CONF", str(tmp_path / "mine" / "conf"))
    monkeypatch.syspath_prepend(tmp_path / "mine")


def test_a_technique_that_overrides_nothing_does_nothing():
    model, objective, technique = nn.Linear(2, 2), nn.Identity(), Compression()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert technique.transform(model) is model
    assert technique.wrap_loss(objective) is objective
    assert technique.callbacks() == []
    assert technique.finalize(model) is model
    assert technique.report() == {}
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_order_is_by_stage_then_by_selection():
    class Early(Compression):
        stage = 1

    class Late(Compression):
        stage = 99

    late, middle, early, middle_too = Late(), Compression(), Early(), Compression()
    assert in_order([late, middle, early, middle_too]) == [early, middle, middle_too, late]
    assert in_order([middle_too, middle]) == [middle_too, middle]
    assert in_order([]) == []


def test_every_option_says_what_it_is_of_and_when_it_acts():
    catalog = Catalog([package_conf()])
    for option in catalog.options["compression"]:
        source = catalog.source("compression", option)
        assert source is not None
        technique = resolve(source.origin, option)
        assert re.search(r"arXiv\s\d{4}\.\d{5}", f"{technique.__doc__}"), f"the paper of {option}"
        assert "stage" in source.attributes, f"when {option} acts"
        assert all(why in source.attributes["because"] for why in source.attributes["requires"])


@pytest.mark.usefixtures("own_options")
def test_a_run_calls_the_moments_in_order_of_stage(
    train: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, logger="loomlab"):
        folder = train(*SMALL, "compression=[late,early]")
    moments = sys.modules["noting_techniques"].MOMENTS
    assert moments == [
        f"{moment} {tag}"
        for moment in ("transform", "wrap_loss", "callbacks", "finalize")
        for tag in ("early", "late")
    ]
    assert "compression=[late,early] acts as [early,late]" in caplog.text
    assert folder.summary()["compression"] == {"Early": {"moments": 8}, "Late": {"moments": 8}}
    assert set(folder.summary()["choice"]["compression"]) == {"early", "late"}


@pytest.mark.usefixtures("own_options")
def test_a_no_op_leaves_the_run_as_it_is(train: Callable[..., RunFolder]):
    without = train(*SMALL, folder="without")
    nothing = train(*SMALL, "compression=[nothing]", folder="nothing")
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(f.metrics)]
        for f in (without, nothing)
    ]
    assert rows[0] == rows[1]
    weights = [load_file(f.model / "model.safetensors") for f in (without, nothing)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert nothing.summary()["compression"] == {"Nothing": {}}
