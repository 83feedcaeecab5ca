"""Transformers knows the models of this package once both are imported, in whichever order.

`import loomlab` stays cheap: it imports neither Transformers nor a model. As soon as the module of
Transformers that finds the class of a config is there, it is told where ours are; they are
imported when a saved model asks for one, and register themselves with the Auto classes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

FINDER = "transformers.models.auto.configuration_auto"
CONFIGS = {
    "loom_gpt": ("loomlab.model.gpt", "GPTConfig"),
    "loom_bert": ("loomlab.model.bert", "BERTConfig"),
}


def register_when_needed() -> None:
    """Tell Transformers of our models, now if it is imported and else when it is."""
    auto = sys.modules.get(FINDER)
    if auto is not None:
        register(auto)
    elif not any(isinstance(finder, Waiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, Waiting())


def register(auto: ModuleType) -> None:
    """Register a stand-in for each config that is not there itself."""
    for model_type, (module, name) in CONFIGS.items():
        if model_type not in auto.CONFIG_MAPPING:
            auto.AutoConfig.register(model_type, stand_in(model_type, module, name))


def stand_in(model_type: str, module: str, name: str) -> type:
    """A config class that imports the one it stands for when it is made or read."""
    from transformers import PreTrainedConfig

    def real() -> Any:
        return getattr(import_module(module), name)

    def made(_: type, **settings: Any) -> Any:
        return real()(**settings)

    def from_dict(_: type, config_dict: dict[str, Any], **others: Any) -> Any:
        return real().from_dict(config_dict, **others)

    told = {"model_type": model_type, "__module__": __name__}
    return type(name, (PreTrainedConfig,), told | {
        "__init__": lambda self, **_: None, "__new__": made, "from_dict": classmethod(from_dict),
    })  # fmt: skip


class Waiting:
    """A finder of modules that registers as soon as that of Transformers has been executed.

    Without its abstract base class, whose import costs more than all else here.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders have for it, with one thing more to do."""
        if fullname != FINDER:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            register(module)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
