"""Masked language modelling."""

# Shapes: B rows, T positions, M masked positions, V vocabulary.

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from loomlab.errors import InputError
from loomlab.objective.base import Batch, Objective
from loomlab.text.masking import Masker
from loomlab.text.samples import Samples
from loomlab.tokenizer.base import word_starts


class MaskedLM(Objective):
    """Restore masked tokens from both sides (BERT): 15 % of tokens, 80/10/10.

    Devlin et al. 2018, arXiv 1810.04805, section 3.1. Each window masks the same share of its
    tokens, drawn anew in every epoch from (seed, epoch, sample) alone.
    """

    head = "masked_lm"
    kind = "pseudo_likelihood"  # each masked token is told from both sides
    requires = {"model.architecture": ("encoder", "any"), "model.trained_by": ("gradient",)}
    because = {
        "model.architecture": "a decoder cannot see what follows a mask",
        "model.trained_by": "counting n-grams does not restore masks",
    }

    def __init__(
        self,
        mask_rate: Annotated[float, "(0, 1)"] = 0.15,
        replace_by_mask: Annotated[float, "[0, 1]"] = 0.8,
        replace_by_random: Annotated[float, "[0, 1]"] = 0.1,
        whole_word: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        if self.tokenizer.mask_token_id is None:
            raise InputError(
                "objective=mlm needs a mask token, and the tokenizer has none: name one of its "
                "tokens, or a new one, with tokenizer.mask_token='<|mask|>'"
            )
        self.masker = Masker(
            rate=mask_rate,
            to_mask=replace_by_mask,
            to_random=replace_by_random,
            mask_id=self.tokenizer.mask_token_id,
            special_ids=self.tokenizer.all_special_ids,
            vocab_size=len(self.tokenizer),
            seed=self.seed,
            word_starts=word_starts(self.tokenizer) if whole_word else None,
        )

    def collate(self, samples: Samples) -> Batch:
        """Masked inputs (B, T), flat positions (M,) of the masks and the tokens there (M,)."""
        tokens_BT = samples.tokens_BU[:, :-1]
        inputs_BT, index_M = self.masker(
            tokens_BT.numpy(), samples.index_B.tolist(), samples.epoch_B.tolist()
        )
        batch = {
            "input_ids": torch.from_numpy(inputs_BT),
            "masked_index": torch.from_numpy(index_M),
        }
        batch["targets"] = tokens_BT.flatten()[batch["masked_index"]]
        if samples.document_BU is not None:
            batch["document_ids"] = samples.document_BU[:, :-1].contiguous()
        return batch

    def parts(self, batch: Batch, count: int) -> list[Batch]:
        """A batch cut by its rows into equal parts, each with the masks of its rows."""
        places = {"masked_index", "targets"}
        index_M, targets_M = batch["masked_index"], batch["targets"]
        cut = super().parts({k: v for k, v in batch.items() if k not in places}, count)
        size = cut[0]["input_ids"].numel()
        for number, part in enumerate(cut):
            here_M = index_M // size == number
            part["masked_index"] = index_M[here_M] - number * size
            part["targets"] = targets_M[here_M]
        return cut

    def weight(self, batch: Batch) -> float:
        """Its masked tokens relative to the count that each of its rows is to have."""
        ids = batch["input_ids"] if "input_ids" in batch else batch["inputs_embeds"]
        rows, length = ids.shape[:2]
        return len(batch["targets"]) / (rows * self.masker.count(length))

    def select(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Rows (M, D) for the head and targets (M,) of the masked positions."""
        rows = self.states(batch)
        if rows.dim() == 3:  # a model that scores every position
            rows = rows.flatten(0, 1)[batch["masked_index"]]
        return rows, batch["targets"]

    @torch.no_grad()
    def sample(self, prompt: str, length: int) -> str:
        """Fill the masks of the prompt; without one, its last word is masked."""
        from loomlab.text.generation import fill_masks, mask_last_word

        if "[MASK]" not in prompt:
            prompt = mask_last_word(prompt)
        return fill_masks(self.model, self.tokenizer, prompt).text
