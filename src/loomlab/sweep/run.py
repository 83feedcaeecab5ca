"""`loom train -m`: plan, record, run, and say how it went."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field

from loomlab.compose.composer import composing
from loomlab.errors import InputError
from loomlab.report.collect import collect
from loomlab.report.comparison import compare
from loomlab.report.comparison_sheet import comparison_sheet
from loomlab.report.export import write_results
from loomlab.report.page import write_report
from loomlab.report.page_refresh import PageRefresh
from loomlab.report.sheet import show
from loomlab.run.alone import alone_in
from loomlab.run.folder import make_private
from loomlab.run.ledger import DONE, PRUNED, Ledger
from loomlab.run.speed_record import expected
from loomlab.secrets import masked_text
from loomlab.sweep.base import Search
from loomlab.sweep.conduct import Conductor
from loomlab.sweep.folders import Folders
from loomlab.sweep.plan import Plan
from loomlab.sweep.proposals import Proposals, show_search
from loomlab.sweep.record import hidden, record, refuse, secrets_of, settle
from loomlab.sweep.screen import Screen
from loomlab.sweep.words import counted


@dataclass
class Prepared:
    """A sweep that is planned and recorded, until Hydra calls the sweeper."""

    plan: Plan
    ledger: Ledger
    screen: Screen
    flags: list[str]
    secrets: dict[str, list[str]]
    proposals: Proposals | None = None
    held: ExitStack = field(default_factory=ExitStack)  # the lock on the folder


MOST_SETTINGS = 6  # columns of the table at the end
_prepared: list[Prepared] = []


def prepare_sweep(plan: Plan, flags: list[str]) -> bool:
    """Show and record a plan; False if nothing is to be started.

    Raises:
        InputError: jobs are refused, or the folder holds another sweep, or another process runs
            the sweep now: its jobs would be told by one, and ended by the other.
    """
    screen = Screen()
    if isinstance(plan.sweep, Search):
        show_search(plan, screen)
    else:
        _show_jobs(plan, screen)
    if plan.sweep.dry_run:
        screen.say("sweep.dry_run=true: nothing is started")
        return False
    _require_unwritten_secrets(plan)
    settle(plan)
    make_private(plan.folder)
    with ExitStack() as held:
        held.enter_context(alone_in(plan.folder))
        prepared = Prepared(plan, record(plan, flags), screen, flags, secrets_of(plan))
        if isinstance(plan.sweep, Search):
            prepared.proposals = Proposals(plan, prepared.ledger, flags, prepared.secrets)
            plan.sweep.open(prepared.ledger, prepared.proposals)
        elif plan.checked.problems:
            refuse(plan, prepared.ledger)
        prepared.held = held.pop_all()
    _prepared[:] = [prepared]
    return True


def _show_jobs(plan: Plan, screen: Screen) -> None:
    if plan.checked.problems:
        if not plan.sweep.skip_refused or not plan.jobs:
            raise InputError(plan.checked.message())
        screen.say(plan.checked.message("they are left out:"))
    for position, first in plan.same:
        screen.say(f"job {position} is the same as job {first}: it runs once")
    threads = plan.launch.threads_each()
    costs = [expected(plan.configs[job.key], job.tokens, threads) for job in plan.jobs]
    screen.plan(plan.jobs, costs, plan.launch.n_parallel)


def _require_unwritten_secrets(plan: Plan) -> None:
    if plan.launch.writes_tasks and (secrets := hidden(plan.arguments)):
        key = secrets[0].partition("=")[0]
        raise InputError(
            f"{key} is a secret, and this launch= writes the jobs it starts to disk: put it into "
            f"an environment variable and give its name, {key}='${{oc.env:NAME}}'"
        )


def run_recorded() -> int:
    """Run the prepared sweep; the exit code."""
    prepared = _prepared.pop()
    with prepared.held:
        return _run(prepared)


def _run(prepared: Prepared) -> int:
    plan, ledger, screen = prepared.plan, prepared.ledger, prepared.screen
    jobs = ledger.jobs()
    done = sum(job.state in (DONE, PRUNED) for job in jobs)
    if done:
        screen.say(f"{done} of {counted(len(jobs))} are done already")
    page = PageRefresh(ledger.folder)
    folders = Folders(ledger, prepared.flags, plan.configs, prepared.secrets)
    conductor = Conductor(
        ledger, plan.sweep, plan.launch, screen, prepared.secrets, page, folders.prepare
    )
    try:
        with composing([*prepared.flags, *plan.arguments]) as folders.loader:
            if prepared.proposals is not None:
                prepared.proposals.loader = folders.loader
            code = conductor.run()
    except InputError as error:  # what only the engine could refuse; Hydra would print all of it
        print(f"loom train: {masked_text(str(error))}", file=sys.stderr)
        return 2
    finally:
        _conclude(plan, ledger, screen)
    return code


def _conclude(plan: Plan, ledger: Ledger, screen: Screen) -> None:
    """Say what failed and what was found, and write the report, however the sweep ended."""
    screen.failures(ledger.jobs())
    if isinstance(plan.sweep, Search):
        for line in plan.sweep.concluded():
            screen.say(line)
    for comparison in compare(collect([ledger.folder])):
        show(comparison_sheet(comparison, MOST_SETTINGS))
    for write in (write_results, write_report):
        try:
            screen.say(f"written: {write(ledger.folder)}")
        except OSError as error:
            screen.say(f"not written: {error.strerror or error}")
    screen.say(f"the sweep is in {ledger.folder}")
