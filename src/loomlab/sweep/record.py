"""Put a plan into the ledger of its folder, beside what is there of an earlier time."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

from loomlab.errors import InputError
from loomlab.run.folder import make_private
from loomlab.run.ledger import REFUSED, Job, Ledger, is_sweep
from loomlab.run.moving_in import new_folder
from loomlab.secrets import MASK, masked_override
from loomlab.sweep.plan import Plan
from loomlab.sweep.words import counted

# What may change between two times the same sweep is run.
FREE = ("sweep.", "launch", "paths.sweep_dir=", "hydra.")


def record(plan: Plan, flags: list[str]) -> Ledger:
    """Write the jobs of a plan as pending ones; those that are there keep their state.

    Raises:
        InputError: the folder holds another sweep, and `sweep.extend=true` was not given; or it
            cannot be made.
    """
    settle(plan)
    there = is_sweep(plan.folder)
    if there:
        _require_same(plan, Ledger(plan.folder))
    make_private(plan.folder)
    ledger = Ledger(plan.folder)
    ledger.define(definition(plan, flags))
    before = {job.key: job for job in ledger.jobs()}
    number = max((job.number for job in before.values()), default=-1) + 1 if there else 0
    fresh = []
    for job in plan.jobs:
        if job.key not in before:
            position = job.number if not there else number
            folder = job.folder if not there else f"{number:03d}{job.folder[3:]}"
            number += 1
            fresh.append(dataclasses.replace(recorded(job), number=position, folder=folder))
    ledger.add(fresh)
    return ledger


def settle(plan: Plan) -> None:
    """Give a sweep whose folder nobody named one that no other has, once.

    Raises:
        InputError: it cannot be made.
    """
    if not plan.named:
        plan.folder = new_folder(plan.folder)  # another may have begun in the same second
        plan.named = True


def definition(plan: Plan, flags: list[str]) -> dict[str, Any]:
    """What a sweep is: to be compared with a later command, and to be given again."""
    return {
        "verb": plan.verb,
        "arguments": [masked_override(o) for o in plan.arguments],
        "flags": flags,
        "code": plan.code,
        "cwd": os.getcwd(),
    }


def recorded(job: Job) -> Job:
    """The job as it may be written down: without secrets."""
    return dataclasses.replace(
        job,
        overrides=[masked_override(o) for o in job.overrides],
        differs={k: masked_override(f"{k}={v}").partition("=")[2] for k, v in job.differs.items()},
    )


def hidden(overrides: Iterable[str]) -> list[str]:
    """Those of some overrides that hold secrets."""
    return [o for o in overrides if masked_override(o).endswith(f"={MASK}")]


def secrets_of(plan: Plan) -> dict[str, list[str]]:
    """Overrides of the plan's jobs that hold secrets, by key."""
    found = {job.key: hidden(job.overrides) for job in plan.jobs}
    return {key: overrides for key, overrides in found.items() if overrides}


def _require_same(plan: Plan, ledger: Ledger) -> None:
    if plan.sweep.extend:
        return
    before = ledger.definition()
    changes = []
    if before.get("code") not in (None, plan.code):
        changes.append(f"the code (then {before['code']}, now {plan.code})")
    old = {o for o in before.get("arguments", []) if not o.startswith(FREE)}
    new = {masked_override(o) for o in plan.arguments if not o.startswith(FREE)}
    if old - new:
        changes.append(f"no longer given: {' '.join(sorted(old - new))}")
    if new - old:
        changes.append(f"now given: {' '.join(sorted(new - old))}")
    known = {job.key for job in ledger.jobs()}
    added = sum(job.key not in known for job in plan.jobs)
    if not changes and added:
        changes.append("files that are read, or config files")
    if not (changes if plan.sweep.learns else added):
        return
    more = "go on" if plan.sweep.learns else f"add the {counted(added)} not in it yet"
    raise InputError(
        f"paths.sweep_dir={plan.folder} holds another sweep. What changed: {'; '.join(changes)}. "
        f"Give another folder, or sweep.extend=true to {more}"
    )


def refuse(plan: Plan, ledger: Ledger) -> None:
    """Write down the jobs that cannot run, where the others are to run without them."""
    jobs = ledger.jobs()
    number = max((job.number for job in jobs), default=-1)
    known = {tuple(job.overrides) for job in jobs}
    rows = []
    for position, problems in plan.checked.problems.items():
        overrides = [masked_override(o) for o in plan.checked.jobs[position]]
        if tuple(overrides) not in known:
            number += 1
            text = "; ".join(dict.fromkeys(map(str, problems)))
            rows.append(
                Job(f"refused-{position}", number, "", overrides, dict(_pairs(overrides)),
                    state=REFUSED, message=text)
            )  # fmt: skip
    ledger.add(rows)


def _pairs(overrides: list[str]) -> list[tuple[str, str]]:
    return [(o.partition("=")[0], o.partition("=")[2]) for o in overrides]
