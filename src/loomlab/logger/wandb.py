"""Weights and Biases through the real client; whatever happens to it, training goes on."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pytorch_lightning.loggers import Logger

from loomlab.errors import first_line
from loomlab.logger.base import NO_FACTS, Facts, LoggerOption
from loomlab.logger.wandb_settings import (
    automatic_mode,
    group_of,
    project_of,
    server_url,
    told,
    unless_told,
    use_writable_places,
)
from loomlab.reach import answers
from loomlab.secrets import masked_override

REACHED_WITHIN = 3.0  # seconds until a server that accepts no connection is given up
RUN_ID = ".wandb_id"
HEADER_BYTES = 7  # of a .wandb file without any record
STARTED_WITHIN = 8.0  # seconds until one that accepts but does not reply is
STARTED_OFFLINE_WITHIN = 90.0  # seconds; no server is waited for, only a busy machine
TAGGED = ("model", "objective", "corpus", "tokenizer", "optimizer", "compression", "experiment")
LONGEST_TAG = 64  # characters, a limit of W&B
log = logging.getLogger("loomlab")


class Wandb(LoggerOption):
    """Weights and Biases: online if a key exists, else offline (send later with `wandb sync`)."""

    def __init__(
        self,
        project: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: list[str] = [],  # noqa: B006  a schema default, never changed
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        x_axis: Literal["step", "tokens", "flops", "seconds"] = "step",
        artifacts: Literal["none", "references", "model", "checkpoints"] = "references",
        finish_within: Annotated[float, "[1, inf)"] = 60.0,
    ) -> None:
        """None, and a mode of auto, is what WANDB_... variables or the client's files say.

        Where they say nothing, `project` is loomlab, `group` the sweep's name, `job_type`
        train, and the mode disabled inside pytest; it always is under a debug option. Chosen
        options and WANDB_TAGS are tags beside `tags`. `x_axis` is what charts begin with; all
        four are sent. `artifacts` links the corpus to the finished model by hash and place
        ("references"), or also uploads the model, or the model with its best and last
        checkpoint. `finish_within` seconds is what the upload at the end may take; what is left
        by then stays on disk.
        """
        self.project, self.entity, self.group, self.job_type = project, entity, group, job_type
        self.tags, self.mode, self.x_axis = tags, mode, x_axis
        self.artifacts, self.finish_within = artifacts, finish_within

    def build(
        self, *, run_dir: Path, name: str, config: dict[str, Any], facts: Facts = NO_FACTS
    ) -> Logger:
        """A logger in RUN_DIR/wandb; the config is sent at the start of the run.

        An online run that cannot start within seconds is kept offline instead, and where even
        that fails, training goes on without W&B; both with a warning.
        """
        os.environ.setdefault("WANDB_SILENT", "true")  # its own lines would break the bar
        use_writable_places()
        from loomlab.logger.wandb_run import SteadyWandbLogger, forget_run, trouble

        choice = config.get("choice") or {}
        remove_recordless(run_dir)
        start = self._start(run_dir, name, config | flat(choice), facts)
        tags = [*self.tags, *(told().run_tags or ()), *tags_of(choice)]
        start["tags"] = list(dict.fromkeys(tags))
        mode = self._reachable_mode(bool(choice.get("debug")))
        for attempt in dict.fromkeys([mode, "offline"]):
            logger = SteadyWandbLogger(
                facts=facts, x_axis=self.x_axis, artifacts=self.artifacts, mode=attempt, **start,
                settings=self._client_settings(attempt),
            )  # fmt: skip
            try:
                with _masked_arguments():
                    logger.start()
                return logger
            except trouble() as error:
                log.warning("W&B did not start (%s): %s", attempt, first_line(error))
                forget_run()
        log.warning("training goes on without W&B")
        logger.broken = True
        return logger

    def _start(
        self, run_dir: Path, name: str, config: dict[str, Any], facts: Facts
    ) -> dict[str, Any]:
        """What the run is called; its id is in its folder, so that it can be gone on with."""
        return {
            "name": config.get("name") or told().run_name or name,
            "save_dir": str(run_dir),
            "project": project_of(self.project),
            "entity": self.entity,
            "group": group_of(self.group, facts.sweep),
            "job_type": self.job_type or told().run_job_type or "train",
            "config": config,
            "id": run_id(run_dir),
            "resume": "allow",
        }

    def _client_settings(self, mode: str) -> Any:
        import wandb

        within = STARTED_OFFLINE_WITHIN if mode == "offline" else STARTED_WITHIN
        ours = unless_told(console="off", silent=True, init_timeout=within)
        return wandb.Settings(
            finish_timeout=self.finish_within, finish_timeout_raises=True, **ours
        )

    def _reachable_mode(self, debug: bool) -> str:
        """The mode asked for, or offline when the server cannot be reached."""
        mode = self.mode if self.mode != "auto" else automatic_mode(debug)
        server = server_url()
        if mode in ("online", "shared") and not answers(server, REACHED_WITHIN):
            log.warning(
                "W&B: %s cannot be reached; the run is kept offline (`wandb sync`)", server
            )
            return "offline"
        return mode


def run_id(run_dir: Path) -> str:
    """The id of the run in a folder, drawn once; another run in the same place has another."""
    path = run_dir / RUN_ID
    if not path.is_file():
        run_dir.mkdir(parents=True, exist_ok=True)
        path.write_text(uuid.uuid4().hex[:12], encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def remove_recordless(run_dir: Path) -> None:
    """Remove offline parts of this run that were killed before their first record was written.

    `wandb sync` of many folders sends none of them if one cannot be read.
    """
    for file in (run_dir / "wandb").glob("offline-run-*/run-*.wandb"):
        if file.stat().st_size <= HEADER_BYTES:
            shutil.rmtree(file.parent)


def flat(choice: Mapping[str, Any]) -> dict[str, str]:
    """`choice.<axis>` as one text each, which runs can be grouped and filtered by."""
    return {
        f"choice.{axis}": (",".join(option) or "none") if isinstance(option, list) else str(option)
        for axis, option in choice.items()
        if option is not None
    }


def tags_of(choice: Mapping[str, Any]) -> list[str]:
    """The options that say most about a run."""
    chosen = [choice.get(axis) for axis in TAGGED]
    options = [o for c in chosen for o in (c if isinstance(c, list) else [c]) if o]
    return [str(option)[:LONGEST_TAG] for option in options]


@contextmanager
def _masked_arguments() -> Iterator[None]:
    """W&B records the command line it finds: without the secrets on it."""
    before = sys.argv
    sys.argv = [masked_override(argument) for argument in before]
    try:
        yield
    finally:
        sys.argv = before


def finish(exit_code: int, summary: Mapping[str, Any] | None = None) -> None:
    """End the W&B run of this process; otherwise the next job would write into it.

    `summary` is what the run says of itself at its end.
    """
    if "loomlab.logger.wandb_run" not in sys.modules:
        return
    from loomlab.logger.wandb_run import finish_run

    finish_run(exit_code, summary or {})
