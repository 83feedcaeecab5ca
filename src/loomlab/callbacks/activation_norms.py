"""How large the hidden states are after each block."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn

from loomlab.callbacks.base import Watcher, trained_model
from loomlab.callbacks.forward_hooks import ForwardHooks
from loomlab.callbacks.logged_steps import send, will_be_logged
from loomlab.measure.blocks import named_blocks


class ActivationNorms(Watcher):
    """Log the root mean square of every block's output at logged steps, by forward hooks.

    Columns are activation_rms/layers.0 and so on. Between logged steps there is no hook. A
    compiled model does not call hooks, so that its logged steps are run as they are written.
    """

    staged = False  # a stage of a pipeline is not enough

    def __init__(self) -> None:
        self.hooks = ForwardHooks()
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.due = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Put the hooks in place if this step will be logged."""
        if self.hooks or not will_be_logged(trainer):
            return
        self.due = trainer.global_step + 1
        self.hooks.attach(named_blocks(trained_model(pl_module)).items(), self._listener)

    def _listener(self, name: str) -> Any:
        def listen(block: nn.Module, inputs: Any, output: Any) -> None:
            if not block.training:  # a validation in the middle of an accumulated step
                return
            hidden = (output[0] if isinstance(output, tuple) else output).detach().float()
            self.sums[name] = self.sums.get(name, 0.0) + hidden.square().sum()
            self.counts[name] = self.counts.get(name, 0) + hidden.numel()

        return listen

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Take the hooks away and send the numbers once the step is complete."""
        if not self.hooks or trainer.global_step < self.due:
            return
        self.hooks.remove()
        mean = {name: float(sum_) / self.counts[name] for name, sum_ in self.sums.items()}
        send(trainer, {f"activation_rms/{name}": value**0.5 for name, value in mean.items()})
        self.sums, self.counts = {}, {}

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave no hook behind, however training ended."""
        self.hooks.remove()
