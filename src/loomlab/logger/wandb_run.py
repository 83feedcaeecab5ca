"""Lightning's W&B logger, for which an outage is a warning and not an error."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import _DummyExperiment as DummyExperiment
from pytorch_lightning.loggers import WandbLogger

from loomlab.errors import first_line
from loomlab.logger.base import Facts
from loomlab.logger.wandb_artifacts import corpus_artifact, results
from loomlab.reach import answers

FIRST_BYTES = 1 << 20  # what a short run writes
STEP = "trainer/global_step"
SLOW = 5.0  # seconds; a table that takes longer found a server that does not reply
PAUSE = 300.0  # seconds without tables and pictures after that
TOLD = ("status", "steps", "parameters", "training_seconds", "peak_memory_bytes")
log = logging.getLogger("loomlab")
_open: list[SteadyWandbLogger] = []  # at most one: the logger whose run is not ended


def trouble() -> tuple[type[Exception], ...]:
    """What the client raises when its server, disk, process or environment is not sound."""
    import wandb
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    from wandb.sdk.lib.service.service_token import WandbServiceConnectionError
    from wandb.sdk.mailbox.mailbox import MailboxClosedError
    from wandb.sdk.mailbox.mailbox_handle import HandleAbandonedError, ServerResponseError

    return (
        OSError, ValueError, wandb.Error, WandbApiFailedError, WandbServiceConnectionError,
        MailboxClosedError, HandleAbandonedError, ServerResponseError,
    )  # fmt: skip


class SteadyWandbLogger(WandbLogger):
    """Sends what it can; after the first number that cannot be sent it says so and is silent.

    Tables, pictures and artifacts ask the server and would wait for one that is gone: they are
    left out for a while when it does not reply, and numbers go on to the disk.
    """

    def __init__(self, *, facts: Facts, x_axis: str, artifacts: str, **settings: Any) -> None:
        self.broken = False
        self.facts, self.artifacts = facts, artifacts
        self.x_axis = STEP if x_axis == "step" else x_axis
        self.media_from = 0.0  # the moment from which media are sent again
        super().__init__(**settings)
        vars(self)["_wandb_init"].pop("anonymous", None)  # Lightning sends it; it only warns

    def start(self) -> None:
        """Start the run now, so that its config is there from the start; raises `trouble()`."""
        if vars(self)["_wandb_init"]["mode"] != "disabled":
            _room_for_a_run(Path(self.save_dir or "."))
        run = self.experiment
        _open[:] = [self]
        for handler in logging.getLogger("wandb").handlers:
            handler.handleError = _unsaid  # type: ignore[method-assign]
        run.define_metric("*", step_metric=self.x_axis, step_sync=True)
        for name in self.facts.metrics:
            best = "max" if name in self.facts.more_is_better else "min"
            run.define_metric(name, summary=best, step_metric=self.x_axis, step_sync=True)
        if self.artifacts != "none" and self.facts.corpus:
            # what use_artifact does, without its wait for the upload, and offline as well
            artifact = corpus_artifact(self.facts.corpus)
            self._carefully(run._log_artifact, artifact, use_after_commit=True)

    @property
    def experiment(self) -> Any:
        """The W&B run, started when first asked for; one that does nothing after a failure."""
        return DummyExperiment() if self.broken else super().experiment

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Send numbers, with what their step had cost."""
        self._attempt("log_metrics", self._priced(metrics, step), step)

    def log_hyperparams(self, params: Any) -> None:
        """Send settings."""
        self._attempt("log_hyperparams", params)

    def log_table(self, key: str, columns: Any = None, data: Any = None, *_: Any,
                  step: int | None = None) -> None:  # fmt: skip
        """Send a table; sent again with more rows, it is the same table grown."""
        import wandb

        self._send_media({key: wandb.Table(columns=columns, data=data)}, step)

    def log_image(
        self, key: str, images: Sequence[Any], step: int | None = None, **_: Any
    ) -> None:
        """Send pictures, given as paths of their files."""
        import wandb

        self._send_media({key: [wandb.Image(image) for image in images]}, step)

    def log_histograms(self, bars: Mapping[str, tuple[Any, Any]], step: int | None = None) -> None:
        """Send histograms: counts, and the edges between them, by name."""
        import wandb

        made = {key: wandb.Histogram(np_histogram=bar) for key, bar in bars.items()}
        self._attempt("log_metrics", self._priced(made, step), step)

    def save(self) -> None:
        """Write what is pending."""
        self._attempt("save")

    def finalize(self, status: str) -> None:
        """Called by Lightning at the end of training; the run itself is ended by `finish`."""
        self._attempt("finalize", status)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Checkpoints stay in the run folder."""

    def conclude(self, exit_code: int, summary: Mapping[str, Any]) -> None:
        """Send what the run reached, and what it leaves; raises `trouble()`."""
        if self.broken:
            return
        best = summary.get("best") or {}
        told = {key: summary[key] for key in TOLD if key in summary}
        run = self.experiment
        run.summary.update({**told, **{f"best/{key}": value for key, value in best.items()}})
        if exit_code or self.artifacts == "none":
            return
        for artifact, aliases in results(
            Path(self.save_dir or "."), self.artifacts, str(self.version), {**told, **best}
        ):
            self._carefully(run.log_artifact, artifact, aliases=aliases)

    def _priced(self, metrics: Any, step: int | None) -> dict[str, Any]:
        return {**metrics, **(self.facts.costs(step) if step is not None else {})}

    def _send_media(self, media: dict[str, Any], step: int | None) -> None:
        self._carefully(super().log_metrics, self._priced(media, step), step)

    def _carefully(self, send: Any, *what: Any, **how: Any) -> None:
        """Send what the server is asked for, unless it is not there."""
        if self.broken or self.experiment.disabled or time.monotonic() < self.media_from:
            return
        begun, complaint = time.monotonic(), ""
        if not self._heard():
            complaint = "the server cannot be reached"
        else:
            try:
                send(*what, **how)
            except trouble() as error:
                complaint = first_line(error)
        if not complaint and time.monotonic() - begun > SLOW:
            complaint = "the server does not reply"
        if complaint:
            self.media_from = time.monotonic() + PAUSE
            log.warning(
                "W&B: %s; no tables, pictures or artifacts are sent for %d s (they are in the "
                "run folder), numbers are", complaint, PAUSE,
            )  # fmt: skip

    def _heard(self) -> bool:
        run = self.experiment
        return bool(run.offline) or answers(run.settings.base_url)

    def _attempt(self, method: str, *arguments: Any) -> None:
        if self.broken:
            return
        try:
            getattr(super(), method)(*arguments)
        except trouble() as error:
            self.broken = True
            log.warning("W&B failed, training goes on without it: %s", error)


def _room_for_a_run(run_dir: Path) -> None:
    """Raise OSError when a run could not even be begun: the client fails in ugly ways then."""
    (run_dir / "wandb").mkdir(exist_ok=True)
    with tempfile.TemporaryFile(dir=run_dir / "wandb", buffering=0) as file:
        file.write(bytes(FIRST_BYTES))


def _unsaid(record: logging.LogRecord) -> None:
    """The client's own log cannot be written: no reason to print a traceback per line."""


def finish_run(exit_code: int, summary: Mapping[str, Any]) -> None:
    """End the run of this process, if there is one, with the exit code of the process."""
    import wandb

    loggers, _open[:] = list(_open), []
    if wandb.run is None:
        return
    files = Path(wandb.run.dir).parent if wandb.run.dir else None
    try:
        for logger in loggers:
            logger.conclude(exit_code, summary)
        wandb.finish(exit_code=exit_code)
    except TimeoutError:
        log.warning(
            "W&B: the upload is not complete; send the rest with `wandb sync --no-skip-online %s`",
            files,
        )
    except trouble() as error:
        log.warning("W&B did not end well, training is not touched by it: %s", error)
        forget_run()


def forget_run() -> None:
    """Let go of a run that could not be started or ended, so that the next one can be.

    Also of a service that the environment names and that is gone with who started it.
    """
    import wandb
    from wandb import env
    from wandb.sdk.lib.module import unset_globals

    unset_globals()
    with contextlib.suppress(*trouble()):  # its process may be gone already
        wandb.teardown()
    os.environ.pop(env.SERVICE, None)
