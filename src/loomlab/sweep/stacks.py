"""Jobs that select other options of a multi-select axis, and settings that are meant for some."""

from __future__ import annotations

from collections.abc import Sequence

from loomlab.catalog.axes import AXES

STACKED = tuple(axis.name for axis in AXES if axis.multiple)


def each_its_own(jobs: Sequence[list[str]]) -> list[list[str]]:
    """Jobs without the settings of options that they do not select, and another job does.

    So `compression=[],[lora] compression.lora.rank=4` sets the rank where there is one. A setting
    of what no job selects stays, and is refused with the reason.
    """
    picked = [_picked(job) for job in jobs]
    anywhere = {axis: set().union(*(p.get(axis, ()) for p in picked)) for axis in STACKED}
    made = []
    for job, own in zip(jobs, picked, strict=True):
        others = {(axis, o) for axis, options in own.items() for o in anywhere[axis] - options}
        made.append([override for override in job if _option_of(override) not in others])
    return made


def _picked(job: Sequence[str]) -> dict[str, set[str]]:
    """The options of multi-select axes that the overrides of a job name, by axis."""
    pairs = [override.lstrip("+").partition("=") for override in job]
    return {
        key: {name.strip() for name in value.strip("[]").split(",")} - {""}
        for key, _, value in pairs
        if key in STACKED
    }


def _option_of(override: str) -> tuple[str, str]:
    """The axis and the option that an override sets something of; "" for the option if of none."""
    axis, _, rest = override.lstrip("+").partition("=")[0].partition(".")
    return axis, rest.partition(".")[0]
