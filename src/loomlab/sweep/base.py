"""What every way of sweeping offers: settings of the whole sweep, and the jobs it consists of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from loomlab.errors import InputError
from loomlab.run.ledger import Job, Ledger
from loomlab.sweep.spaces import Space, Spaces


class Sweep:
    """A sweep. Either all of its jobs are known at once (`expand`), or it learns (`Search`)."""

    learns: ClassVar[bool] = False

    def __init__(
        self,
        dry_run: bool = False,
        skip_refused: bool = False,
        extend: bool = False,
        repeat: Annotated[int, "[1, inf)"] = 1,
        retry: Annotated[int | None, "[0, inf)"] = 0,
        max_failures: Annotated[int | None, "[0, inf)"] = None,
        on_fail: Literal["continue", "stop"] = "continue",
        search: list[str] = [],  # noqa: B006 - read as a literal, never changed
    ) -> None:
        """Settings that every sweep has.

        Args:
            dry_run: print the plan and stop.
            skip_refused: run the jobs that are not refused.
            extend: add the jobs of a changed command to a sweep that is there.
            repeat: runs of each job, with seeds that count up from `seed`.
            retry: how often a failed job is started again at once. Those that failed when the
                command was given before are started again, too; null leaves them alone.
            max_failures: stop when more jobs than this have failed.
            on_fail: `stop` is `max_failures=0`.
            search: axes; each job also varies what conf/AXIS/search/OPTION.yaml says of the
                options it has on them.
        """
        self.dry_run = dry_run
        self.skip_refused = skip_refused
        self.extend = extend
        self.repeat = repeat
        self.retry = retry
        self.max_failures = 0 if on_fail == "stop" else max_failures
        self.search = search

    def expand(self, overrides: Sequence[Override], spaces: Spaces) -> list[list[str]]:
        """The overrides of every job, without repetitions for seeds.

        Raises:
            InputError: the values given cannot be swept in this way.
        """
        raise NotImplementedError

    def repeated(self, jobs: list[list[str]], seed: int) -> list[list[str]]:
        """Each job `repeat` times, with one seed after another.

        Raises:
            InputError: `seed` itself takes several values.
        """
        if self.repeat == 1:
            return jobs
        if len({_seed(job) for job in jobs}) > 1:
            raise InputError(
                f"sweep.repeat={self.repeat} varies the seed, which takes several values already: "
                "leave one of the two out"
            )
        return [
            [*(o for o in job if not o.startswith("seed=")), f"seed={int(_seed(job) or seed) + i}"]
            for job in jobs
            for i in range(self.repeat)
        ]


# (number, overrides) of a job -> its row in the ledger: of an earlier number where that is the
# same job, in the state `refused` where it cannot be run.
Enlist = Callable[[int, list[str]], Job]


class Search(Sweep):
    """A sweep that proposes each job from how the earlier ones ended.

    Its `expand` gives jobs that are checked before the first is proposed, and not run.
    """

    learns = True
    n_trials: int
    space: Space  # set by `expand`

    def foresee(self, configs: Sequence[DictConfig], before: dict[str, Any]) -> None:
        """See the configs of the jobs checked, and the definition of the sweep it goes on with.

        Raises:
            InputError: what is searched for is not the same in all of them.
        """
        raise NotImplementedError

    def described(self) -> list[tuple[str, str]]:
        """What is searched, and how, in pairs for the screen."""
        raise NotImplementedError

    def open(self, ledger: Ledger, enlist: Enlist) -> None:
        """Take up what the ledger knows of earlier jobs; `enlist` adds a proposed one to it.

        Raises:
            InputError: the ledger holds jobs that this search did not propose.
        """
        raise NotImplementedError

    def ask(self) -> str | None:
        """Propose and enlist the next job; its key, or None when enough were proposed."""
        raise NotImplementedError

    def tell(self, job: Job) -> None:
        """Hear how a job ended."""
        raise NotImplementedError

    def judge(self, ledger: Ledger) -> None:
        """Answer the reports of running jobs that have no verdict yet."""
        raise NotImplementedError

    def concluded(self) -> list[str]:
        """What was found, in lines for the screen."""
        raise NotImplementedError


def _seed(job: list[str]) -> str:
    return next((o.partition("=")[2] for o in job if o.startswith("seed=")), "")
