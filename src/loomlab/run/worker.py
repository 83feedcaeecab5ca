"""A further process of a distributed run: `python -m loomlab.run.worker RUN_DIR`."""

from __future__ import annotations

import sys

from loomlab.callbacks.store import CheckpointStore
from loomlab.run.assembly import assemble, build_trainer, make
from loomlab.run.folder import RunFolder
from loomlab.run.quiet import quiet_libraries


def main(run_dir: str) -> None:
    """Join the training of a run folder as the rank the environment names."""
    quiet_libraries()
    folder = RunFolder(run_dir)
    config = folder.config()
    make(config.runtime)().apply()
    parts = assemble(config, folder)
    newest = CheckpointStore(folder.checkpoints).newest() if config.resume else None
    resume = newest.path if newest else None
    trainer = build_trainer(config, parts, folder, make(config.precision)())
    trainer.fit(parts.objective, datamodule=parts.corpus, ckpt_path=resume, weights_only=True)


if __name__ == "__main__":
    main(sys.argv[1])
