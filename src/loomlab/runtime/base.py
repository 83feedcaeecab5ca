"""What every runtime option offers."""

from __future__ import annotations

from typing import Any, ClassVar


class Runtime:
    """Settings of the process that change the speed of a run and not its result.

    Jobs of a sweep share one process, so each option sets all there is to set.
    """

    memory_is_kept: ClassVar[bool] = False  # by this process; malloc offers no way back

    def apply(self) -> dict[str, Any]:
        """Set the process up; what is in force is recorded with the run."""
        return {}

    @staticmethod
    def allocator_in_force() -> str:
        """What the process does with freed memory, perhaps since an earlier job of a sweep."""
        return "keep" if Runtime.memory_is_kept else "default"
