"""A further process of a distributed run: `python -m loomlab.run RUN_DIR` calls it."""

from __future__ import annotations

from omegaconf import DictConfig

from loomlab.callbacks.store import CheckpointStore
from loomlab.parallelism.threads import divide_threads
from loomlab.run.assembly import assemble
from loomlab.run.constructor import constructor
from loomlab.run.folder import RunFolder
from loomlab.run.measured import keep_measured_choices
from loomlab.run.pruning import Pruned
from loomlab.run.quiet import quiet_libraries
from loomlab.run.ranks import RankFailed, among_ranks
from loomlab.run.shutdown import Stopped, quits_at_once
from loomlab.run.trainer import build_trainer


def main(run_dir: str) -> int:
    """Join the training of a run folder as the rank the environment names; the exit code.

    The first process says how a run has ended; another one has something to add only when it is
    the one that failed.
    """
    quiet_libraries()
    folder = RunFolder(run_dir)
    config = folder.config()
    keep_measured_choices(config, folder.summary())
    try:
        _train(config, folder)
    except Pruned:
        return 0
    except Stopped as stop:
        return stop.exit_code
    except RankFailed:
        return 1
    return 0


def _train(config: DictConfig, folder: RunFolder) -> None:
    parallelism = constructor(config.parallelism)()
    with among_ranks(parallelism, folder) as callbacks:
        divide_threads(parallelism.devices)
        constructor(config.runtime)().apply()
        parts = assemble(config, folder)
        newest = CheckpointStore(folder.checkpoints).newest() if config.resume else None
        resume = newest.path if newest else None
        trainer = build_trainer(config, parts, folder, constructor(config.precision)())
        trainer.callbacks[:0] = callbacks  # type: ignore[attr-defined]
        with quits_at_once(trainer):
            trainer.fit(
                parts.objective, datamodule=parts.corpus, ckpt_path=resume, weights_only=True
            )
