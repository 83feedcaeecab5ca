"""Held-out numbers of a model, outside a trainer; the same scores as during training."""

from __future__ import annotations

import torch

from loomlab.corpus.base import Corpus
from loomlab.device import autocast, on, placed
from loomlab.measure.by_part import ScoresByPart
from loomlab.measure.modes import evaluating
from loomlab.objective.base import Objective


@torch.no_grad()
def evaluate(
    objective: Objective, corpus: Corpus, bf16: bool, batches: int | None = None
) -> dict[str, float]:
    """Score every held-out window (or the first `batches` batches) once."""
    scores = ScoresByPart(objective.new_scores, corpus.part_token_bytes())
    with evaluating(objective), placed(objective) as place, autocast(place, bf16):
        for number, batch in enumerate(corpus.val_dataloader()):
            if batches is not None and number >= batches:
                break
            objective.score(on(place, batch), scores.of(corpus.part_of_batch(number)))
    return {f"val/{k}": v for k, v in scores.result().items()}
