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
    for name in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # A log that cannot be written, on a full disk say, must not bury what is wrong in tracebacks.
    logging.raiseExceptions = False
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
