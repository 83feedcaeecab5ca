"""Keep of every block its input alone."""

from __future__ import annotations

from loomlab.activation_checkpointing.base import Recomputed


class Block(Recomputed):
    """Keep the input of each block and run it again in the backward pass.

    A third more arithmetic, and memory that hardly grows with depth (Chen et al. 2016, arXiv
    1604.06174).
    """
