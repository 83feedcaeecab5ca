"""What can be wrong with a trainer option, found from settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Arguments of Lightning's Trainer that a run sets itself, and where they are decided instead.
ELSEWHERE = {
    **dict.fromkeys(
        ("max_steps", "max_epochs"), "set budget.steps, epochs, tokens, flops or seconds"
    ),
    **dict.fromkeys(
        ("min_steps", "min_epochs"), "set budget.steps, epochs, tokens, flops or seconds"
    ),
    **dict.fromkeys(("devices", "strategy", "num_nodes"), "choose with parallelism=OPTION"),
    **dict.fromkeys(("val_check_interval", "check_val_every_n_epoch"), "set val_every_n_steps"),
    "precision": "choose with precision=OPTION",
    "callbacks": "choose with callbacks=[OPTION,...]",
    "enable_progress_bar": "choose with callbacks=[progress,...]",
    "enable_checkpointing": "choose with callbacks=[checkpoint,...]",
    "logger": "choose with logger=OPTION",
    "overfit_batches": "debug=overfit trains on one batch",
    "fast_dev_run": "debug=one_step is such a check",
    "barebones": "choose with logger=none 'callbacks=[]'",
    "reload_dataloaders_every_n_epochs": "the corpus orders its samples",
    **dict.fromkeys(("limit_test_batches", "limit_predict_batches"), "set limit_val_batches"),
    "sync_batchnorm": "no model has a batch norm",
    "default_root_dir": "set paths.output_dir",
    "accelerator": "a GPU is taken where there is one",
    "enable_model_summary": "summary.json has the parameters",
    "num_sanity_val_steps": "debug=one_step is such a check",
    "use_distributed_sampler": "the corpus orders its samples",
}


def decided_elsewhere(settings: Mapping[str, Any]) -> list[str]:
    """Settings that would be ignored, or clash with those the run makes itself."""
    return [
        f"{key}: is decided by the run itself; {instead}"
        for key, instead in ELSEWHERE.items()
        if key in settings
    ]
