"""Pictures of who attends to whom."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
from torch import Tensor

from loomlab.callbacks.logged_steps import loggers_that
from loomlab.probe.attention_probabilities import attention_probabilities
from loomlab.probe.base import Probe
from loomlab.text.generation import MASK, readable_length

log = logging.getLogger("loomlab")
PANEL, PER_TOKEN = 1.6, 0.16  # inches


class AttentionMaps(Probe):
    """After each validation, draw the attention of chosen layers and heads on a fixed text.

    RUN_DIR/probe/attention_step*.png, with the tokens along both sides (rows attend to columns);
    loggers that take pictures get it too.
    """

    def __init__(
        self,
        text: str = "The old man looked at the sea, and the sea looked at him.",
        layers: list[int] = [0, -1],  # noqa: B006  a schema default, never changed
        heads: list[int] = [],  # noqa: B006
        max_tokens: Annotated[int, "[2, inf)"] = 32,
    ) -> None:
        """`layers` and `heads` are counted from 0 (-1: the last); none named means all.

        Of the text, the first `max_tokens` tokens are read.
        """
        self.text, self.layers, self.heads, self.max_tokens = text, layers, heads, max_tokens
        self.passed_over = False

    def look(self, trainer: pl.Trainer, objective: Any) -> None:
        """Draw one picture."""
        ids_1T = self._tokens(objective)
        maps = attention_probabilities(objective.model, ids_1T)
        layers = chosen(self.layers, len(maps))
        heads = chosen(self.heads, maps[0].shape[1]) if maps else []
        if not layers or not heads:
            self._pass_over(len(maps), maps[0].shape[1] if maps else 0)
            return
        labels = [objective.tokenizer.decode([t]) for t in ids_1T[0].tolist()]
        folder = Path(trainer.default_root_dir) / "probe"
        folder.mkdir(exist_ok=True)
        path = folder / f"attention_step{trainer.global_step:06d}.png"
        draw({(i, j): maps[i][0, j] for i in layers for j in heads}, labels, path)
        for logger in loggers_that(trainer, "log_image"):
            logger.log_image("probe/attention", [str(path)], step=trainer.global_step)

    def _pass_over(self, layers: int, heads: int) -> None:
        """Say once that there is nothing to draw."""
        if not self.passed_over:
            log.warning(
                "probe attention_maps: nothing to draw for layers=%s heads=%s; the model tells "
                "the attention of %d layers, %d heads each",
                self.layers, self.heads, layers, heads,
            )  # fmt: skip
        self.passed_over = True

    def _tokens(self, objective: Any) -> Tensor:
        """The ids of the text, (1, T), as many as the model reads."""
        tokenizer = objective.tokenizer
        text = self.text.replace(MASK, tokenizer.mask_token or MASK)
        ids: Tensor = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
        limit = min(self.max_tokens, readable_length(objective.model) or self.max_tokens)
        return ids[:, :limit].to(objective.device)


def chosen(wanted: list[int], there: int) -> list[int]:
    """The indices that exist, from 0, each once; all of them when none is wanted."""
    if not wanted:
        return list(range(there))
    return list(dict.fromkeys(i % there for i in wanted if -there <= i < there))


def draw(maps: dict[tuple[int, int], Tensor], labels: list[str], path: Path) -> None:
    """A grid of pictures: a row per layer, a column per head."""
    from matplotlib.figure import Figure

    layers = list(dict.fromkeys(layer for layer, _ in maps))
    heads = list(dict.fromkeys(head for _, head in maps))
    side = PANEL + PER_TOKEN * len(labels)
    size = (side * max(1, len(heads)), side * max(1, len(layers)))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(layers), len(heads), squeeze=False)
    shown = [label.encode("unicode_escape").decode().replace("$", r"\$") for label in labels]
    for (layer, head), map_TS in maps.items():
        panel = panels[layers.index(layer)][heads.index(head)]
        panel.imshow(map_TS.float().cpu().numpy(), cmap="Blues", vmin=0.0, vmax=1.0)
        panel.set_title(f"layer {layer}, head {head}", fontsize=9)
        panel.set_xticks(range(len(shown)), shown, rotation=90, fontsize=6)
        panel.set_yticks(range(len(shown)), shown, fontsize=6)
    figure.savefig(path, dpi=80)
