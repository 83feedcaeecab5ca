"""What every runtime option offers."""

from __future__ import annotations

from typing import Any


class Runtime:
    """Settings of the process that change the speed of a run and not its result."""

    def apply(self) -> dict[str, Any]:
        """Set the process up; what was set is recorded with the run."""
        return {}
