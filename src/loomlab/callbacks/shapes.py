"""Every module of a model with what goes in and what comes out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn

from loomlab.callbacks.base import Watcher, trained_model
from loomlab.callbacks.forward_hooks import ForwardHooks

log = logging.getLogger("loomlab")
COLUMNS = ("module", "class", "inputs", "outputs", "parameters", "dtype", "calls")


@dataclass
class Seen:
    """What the first call of a module was given and gave, and how many calls there were."""

    inputs: str
    outputs: str
    calls: int = 1


class Shapes(Watcher):
    """Print every module with its shapes, parameters and dtype in one training step, then stop.

    The table goes to RUN_DIR/shapes.txt and to the console. Shapes are those of the first call; a
    head that is computed in chunks of rows has several.
    """

    staged = False  # a stage of a pipeline is not enough

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self.hooks = ForwardHooks()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Listen to every module; a compiled model would not call its hooks."""
        if self.hooks:
            return
        modules = trained_model(pl_module).named_modules()
        self.hooks.attach(modules, self._listener, with_kwargs=True)

    def _listener(self, name: str) -> Any:
        def listen(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
            if name in self.seen:
                self.seen[name].calls += 1
            else:
                self.seen[name] = Seen(shapes([*args, *kwargs.values()]), shapes([output]))

        return listen

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Write the table and end the run."""
        if trainer.global_step == 0 or not self.hooks:
            return
        self.hooks.remove()
        text = table([COLUMNS, *self._rows(trained_model(pl_module))])
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / "shapes.txt"
            path.write_text(text, encoding="utf-8")
            log.info("%s", text)
        trainer.should_stop = True

    def _rows(self, model: nn.Module) -> Iterable[tuple[str, ...]]:
        for name, module in model.named_modules():
            seen = self.seen.get(name, Seen("-", "-", 0))
            own = list(module.parameters())
            kinds = sorted({str(p.dtype).removeprefix("torch.") for p in own})
            yield (
                name or "(model)", type(module).__name__, seen.inputs, seen.outputs,
                f"{sum(p.numel() for p in own):,}", " ".join(kinds) or "-", str(seen.calls),
            )  # fmt: skip

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave no hook behind, however training ended."""
        self.hooks.remove()


def shapes(values: Iterable[Any]) -> str:
    """The shapes of all tensors in values, such as (4, 16, 32); those nested one level as well."""
    found: list[str] = []
    for value in values:
        inner = value.values() if isinstance(value, Mapping) else value
        nested = list(inner) if isinstance(value, Mapping | list | tuple) else [value]
        found += [str(tuple(v.shape)) for v in nested if isinstance(v, Tensor)]
    return " ".join(found) or "-"


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows in aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "".join(f"{line.rstrip()}\n" for line in lines)
