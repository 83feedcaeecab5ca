"""Layouts are ranked by speed, and those that do not fit come last."""

import pytest

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.plan.suggest import suggest

pytestmark = pytest.mark.soak
SMALL = ["model.layers=2", "model.width=256", "model.heads=4", "sequence_length=16",
         "tokenizer=byte", "hardware=h100", "hardware.count=4"]  # fmt: skip


def test_layouts_are_ranked_by_speed_and_what_does_not_fit_comes_last():
    found = suggest(SMALL, Catalog(all_conf_dirs()))
    options = [layout.overrides[0] for layout in found]
    assert set(options) >= {"parallelism=ddp", "parallelism=fsdp2", "parallelism=tp"}
    assert "parallelism=local_sgd" not in options, "it changes the result"
    assert all(layout.figures["fits"] for layout in found if not layout.refused)
    speeds = [layout.speed for layout in found]
    assert speeds == sorted(speeds, reverse=True)
    assert {layout.figures["global_batch_size"] for layout in found if layout.speed} == {16}

    peaks = {layout.overrides[0]: layout.figures["peak_bytes"] for layout in found if layout.speed}
    limit = (peaks["parallelism=fsdp2"] + peaks["parallelism=ddp"]) / 2e9
    assert peaks["parallelism=fsdp2"] < peaks["parallelism=ddp"]
    short = suggest([*SMALL, f"hardware.memory_gb={limit}"], Catalog(all_conf_dirs()))
    first, *_, last = [layout for layout in short if layout.speed]
    assert first.figures["fits"]
    assert not last.figures["fits"]
