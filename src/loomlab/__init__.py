"""Config-composed experiments for training and optimizing language models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from loomlab.registration import register_when_needed

if TYPE_CHECKING:
    from loomlab.entry.python import prepare, train
    from loomlab.errors import InputError
    from loomlab.run.record import Run

__version__ = "0.1.0"
__all__ = ["InputError", "Run", "prepare", "train"]

register_when_needed()


def __getattr__(name: str) -> Any:
    """What is used from Python, imported when it is asked for: `import loomlab` stays cheap."""
    if name not in __all__:
        raise AttributeError(f"module 'loomlab' has no attribute '{name}'")
    return getattr(import_module("loomlab.entry.python"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
