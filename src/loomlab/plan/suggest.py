"""Ways to spread one run over the same devices, ranked by how fast they would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loomlab.catalog.options import Catalog
from loomlab.errors import InputError, first_line
from loomlab.parallelism.base import Parallelism
from loomlab.plan.outlook import WAYS, outlook
from loomlab.plan.planned import Planned, hardware_of, planned
from loomlab.run.constructor import constructor

AXIS = "parallelism"


@dataclass
class Layout:
    """One way: how to type it, its figures, or why it cannot be."""

    overrides: list[str]
    recomputed: bool
    figures: dict[str, Any]
    refused: str = ""

    @property
    def order(self) -> tuple[bool, bool, float]:
        """What fits comes first, then what is fast."""
        return bool(self.refused), not self.figures.get("fits"), -self.speed

    @property
    def speed(self) -> float:
        """Tokens a second of all devices."""
        return float(self.figures.get("tokens_per_second", 0.0))

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        told = {"refused": self.refused} if self.refused else self.figures
        return {"overrides": self.overrides, "recomputed": self.recomputed, **told}


def suggest(arguments: list[str], catalog: Catalog) -> list[Layout]:
    """All layouts of all options that declare any, the best first.

    Raises:
        InputError: what no way of spreading could mend.
    """
    own = [a for a in arguments if a.startswith("hardware")]
    rest = [a for a in arguments if a not in own]
    hardware = hardware_of(own)
    count = hardware.count or planned(arguments, catalog).parallelism.world_size
    rest = [a for a in rest if not a.startswith((f"{AXIS}=", f"{AXIS}."))]
    alone = planned([*rest, *(a for a in own if not a.startswith("hardware.count"))], catalog)
    rest, batch = _batch(rest, alone, count)
    found = []
    for option in catalog.options[AXIS]:
        kind: type[Parallelism] = constructor(_node(catalog, option)).func
        for settings in kind.layouts(count, hardware.devices_per_node, batch):
            chosen = [f"{AXIS}={option}", *(f"{AXIS}.{k}={v}" for k, v in settings.items())]
            found.append(_tried(chosen, rest, own, catalog))
    return sorted(found, key=lambda layout: layout.order)


def _batch(rest: list[str], alone: Planned, count: int) -> tuple[list[str], int]:
    """One batch for all layouts: as given, else the smallest that every device has a row of."""
    accumulate = int(alone.config.trainer.accumulate_grad_batches or 1)
    accumulate *= int(alone.config.micro_batch_size or 1)
    given = int(alone.config.global_batch_size)
    if not any(o.startswith("global_batch_size=") for o in rest):
        parts = count * accumulate
        given = -(-given // parts) * parts
        rest = [*rest, f"global_batch_size={given}"]
    return rest, given // accumulate


def _node(catalog: Catalog, option: str) -> Any:
    from omegaconf import OmegaConf

    source = catalog.source(AXIS, option)
    assert source is not None
    return OmegaConf.create({"_target_": source.target})


def _tried(chosen: list[str], rest: list[str], own: list[str], catalog: Catalog) -> Layout:
    """A layout as it is, or with blocks computed again where it would not fit otherwise."""
    try:
        plan = planned([*rest, *chosen, *own], catalog)
        for way, recompute in WAYS.items():
            figures = outlook(plan.config, plan.hardware, {way: recompute}).figures()
            figures |= figures.pop(way)
            if figures["fits"]:
                break
        return Layout(chosen, recompute, figures)
    except InputError as error:
        lines = str(error).splitlines()
        return Layout(chosen, False, {}, lines[-1].strip(" -") if lines else first_line(error))
