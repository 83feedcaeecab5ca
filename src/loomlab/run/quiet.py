"""Keep libraries from writing over what a run has to say."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Silence banners, tips and bars that say nothing about this run."""
    import transformers
    from pytorch_lightning.utilities.warnings import PossibleUserWarning

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    lightning = ("utilities.rank_zero", "accelerators.cuda")
    requests = ("httpx", "httpx2")  # one line for each, by what huggingface_hub is built on
    for name in (*(f"pytorch_lightning.{part}" for part in lightning), *requests):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A log that cannot be written, on a full disk say, must not bury what is wrong in tracebacks.
    logging.raiseExceptions = False
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
