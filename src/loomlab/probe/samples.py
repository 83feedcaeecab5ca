"""Samples of the model's text over the run, for several prompts and temperatures."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch

from loomlab.callbacks.logged_steps import loggers_that
from loomlab.errors import InputError
from loomlab.probe.base import Probe
from loomlab.text.generation import continue_text, fill_masks

MOST_ROWS = 10_000  # of a table; W&B shows no more
log = logging.getLogger("loomlab")


class Samples(Probe):
    """After each validation, continue prompts or fill masks: RUN_DIR/samples.jsonl, W&B table.

    The table grows: each validation sends all samples of the run so far, over its resumes.
    """

    problem_check = "loomlab.probe.checks.temperatures"

    def __init__(
        self,
        prompts: list[str] = ["It was a", "The old man", "She said"],  # noqa: B006  a default
        temperatures: list[float] = [0.0, 0.7, 1.0],  # noqa: B006
        length: Annotated[int, "[1, inf)"] = 40,
        count: Annotated[int, "[1, inf)"] = 1,
        fills: list[str] = ["He went to the [MASK] and sat down."],  # noqa: B006
        top: Annotated[int, "[1, inf)"] = 5,
    ) -> None:
        """A causal model continues each prompt by `length` tokens at each temperature (0: greedy).

        `count` texts are drawn for each; a greedy one is always the same and written once.
        A masked model names the `top` likeliest tokens for every [MASK] of `fills` instead.
        """
        self.prompts, self.temperatures, self.length = prompts, temperatures, length
        self.count, self.fills, self.top = count, fills, top
        self.passed_over = False

    def look(self, trainer: pl.Trainer, objective: Any) -> None:
        """Add one line per sample."""
        if objective.head == "causal_lm":
            samples = self._continued(objective)
        elif objective.head == "masked_lm":
            samples = self._filled(objective)
        else:
            if not self.passed_over:
                log.warning("probe samples: a model with a %s head has no text", objective.head)
            self.passed_over = True
            return
        rows: list[dict[str, Any]] = [{"step": trainer.global_step, **s} for s in samples]
        rows = grown(Path(trainer.default_root_dir) / "samples.jsonl", rows, trainer.global_step)
        columns = list(rows[-1]) if rows else []
        cells = [[row[c] if isinstance(row[c], float | int) else str(row[c]) for c in columns]
                 for row in rows[-MOST_ROWS:]]  # fmt: skip
        for logger in loggers_that(trainer, "log_table"):
            logger.log_table("probe/samples", columns, cells, step=trainer.global_step)

    def _continued(self, objective: Any) -> list[dict[str, Any]]:
        found = []
        for prompt in self.prompts:
            for temperature in self.temperatures:
                torch.manual_seed(0)  # a sample changes only as far as the model does
                how: dict[str, Any] = {"temperature": temperature} if temperature else {}
                for _ in range(self.count if temperature else 1):
                    text = _text_or_reason(
                        continue_text, objective, prompt, max_new_tokens=self.length,
                        do_sample=temperature > 0, **how,
                    )  # fmt: skip
                    found.append({"prompt": prompt, "temperature": temperature, "text": text})
        return found

    def _filled(self, objective: Any) -> list[dict[str, Any]]:
        found = []
        for text in self.fills:
            filled = _text_or_reason(fill_masks, objective, text, top=self.top)
            candidates = getattr(filled, "candidates", [])
            found.append(
                {"prompt": text, "text": getattr(filled, "text", filled), "fills": candidates}
            )
        return found


def grown(path: Path, rows: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
    """Add the rows of a step to a file of rows; all that it then holds.

    Rows from that step on are of a part of the run that was killed and is now done again.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    before = [json.loads(line) for line in lines if line.endswith("}\n")]  # none cut short
    kept = [row for row in before if row["step"] < step]
    with path.open("a" if len(kept) == len(lines) else "w", encoding="utf-8") as file:
        new = rows if len(kept) == len(lines) else [*kept, *rows]
        file.writelines(json.dumps(row) + "\n" for row in new)
    return [*kept, *rows]


def _text_or_reason(generate: Any, objective: Any, text: str, **how: Any) -> Any:
    """What was generated; a prompt that a model cannot read must not end its training."""
    try:
        return generate(objective.model, objective.tokenizer, text, **how)
    except InputError as error:
        return f"({error})"
