"""The contract of every regularization: three moments in a run, each a no-op by default."""

from __future__ import annotations

from collections.abc import Callable

from pytorch_lightning import Callback
from torch import Tensor, nn

# From logits (M, V) and targets (M,) to the mean over the M rows: a loss may be computed in parts.
Loss = Callable[[Tensor, Tensor], Tensor]


class Regularization:
    """What acts on the model before training, on the loss during it, or as a callback.

    Held-out numbers are those of the plain objective, whatever is added to the training loss.
    """

    def transform(self, model: nn.Module) -> nn.Module:
        """Change the model before training."""
        return model

    def wrap_loss(self, loss: Loss) -> Loss:
        """Change the training loss; it must stay a mean over rows."""
        return loss

    def callbacks(self) -> list[Callback]:
        """Callbacks to run during training."""
        return []
