"""The contract of every activation checkpointing option."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from torch import nn

from loomlab.errors import InputError, first_line


class ActivationCheckpointing(abc.ABC):
    """What a block keeps for its backward pass; values and gradients are those without."""

    @abc.abstractmethod
    def apply(self, model: nn.Module) -> None:
        """Change what the blocks of `model` keep, in place, so that no name of a weight changes.

        Raises:
            InputError: the model has no such blocks.
        """


class Recomputed(ActivationCheckpointing):
    """Blocks that are run again in the backward pass, by Transformers' own means."""

    settings: ClassVar[dict[str, Any]] = {}  # of torch.utils.checkpoint
    requires = {"model.trained_by": ("gradient",)}
    because = {"model.trained_by": "counting n-grams has no backward pass to keep anything for"}

    def apply(self, model: nn.Module) -> None:
        """Have the blocks of a Transformers model, ours among them, run under a checkpoint."""
        settings = {"use_reentrant": False, **self.settings}
        try:
            model.activation_checkpointing_enable(activation_checkpointing_kwargs=settings)  # type: ignore[operator]
        except ValueError as error:
            raise InputError(
                f"activation_checkpointing: {first_line(error)} Take "
                "activation_checkpointing=none."
            ) from error
