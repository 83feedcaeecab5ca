"""An export is kept only if a fresh process finds that it computes the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from loomlab.errors import InputError
from loomlab.run.exporting import export
from loomlab.run.folder import RunFolder

NODE = {"_target_": "loomlab.format.safetensors.Safetensors"}


def test_what_cannot_be_exported_leaves_nothing(train: Callable[..., RunFolder]):
    run = train("model=ngram", "metric=val/loss")
    with pytest.raises(InputError, match="counts n-grams and is no graph"):
        export(str(run.path), "safetensors", NODE, 1)
    assert list(run.path.glob("exports/*")) == []


@pytest.mark.slow
@pytest.mark.usefixtures("warm_verification")
def test_a_wrong_export_is_deleted(train: Callable[..., RunFolder], monkeypatch):
    """The weights are shaken on their way into the file; the run is as it was."""
    from loomlab.format import safetensors

    def shaken(model: torch.nn.Module) -> torch.nn.Module:
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight))
        return model

    run = train("model.layers=1", "model.width=16", "model.heads=2")
    monkeypatch.setattr(safetensors, "standard_layout", shaken)
    with pytest.raises(RuntimeError, match="is deleted: a logit is off by"):
        export(str(run.path), "safetensors", NODE, 1)
    assert list(Path(run.path).glob("exports/*")) == []
