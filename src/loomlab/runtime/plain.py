"""The process as it comes."""

from __future__ import annotations

from typing import Any

import torch

from loomlab.runtime.base import Runtime


class Plain(Runtime):
    """Leave the allocator as it is, and take the matrix product that torch starts with."""

    def apply(self) -> dict[str, Any]:
        """Undo the matrix product of an earlier job; returns what is in force."""
        torch.set_float32_matmul_precision("highest")
        return {"allocator": self.allocator_in_force(), "matmul": "highest"}
