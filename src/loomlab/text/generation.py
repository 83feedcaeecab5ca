"""Text from a model: continuing a prompt and filling masks, through Transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError

MASK = "[MASK]"


@dataclass(frozen=True)
class Filled:
    """A text with its masks filled, and per mask the likeliest words with probabilities."""

    text: str
    candidates: list[list[tuple[str, float]]]


@torch.no_grad()
def continue_text(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    prompt: str,
    *,
    max_new_tokens: int = 64,
    do_sample: bool = True,
    top_p: float = 0.95,
    **options: Any,
) -> str:
    """The prompt and its continuation, by the model's own `generate`."""
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    if ids.shape[1] == 0:
        ids = torch.tensor([[tokenizer.eos_token_id]])
    ids = ids.to(next(model.parameters()).device)
    limit = readable_length(model)
    if limit is not None:  # keep the end of a long prompt, and stop where positions end
        ids = ids[:, -(limit - 1) :]
        max_new_tokens = min(max_new_tokens, limit - ids.shape[1])
    training = model.training
    model.eval()
    with torch.compiler.set_stance("force_eager"):  # every length would be compiled anew
        output = model.generate(  # type: ignore[operator]
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_new_tokens,
            do_sample=do_sample,
            top_p=top_p if do_sample else None,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **options,
        )
    model.train(training)
    return str(tokenizer.decode(output[0], skip_special_tokens=True))


@torch.no_grad()
def fill_masks(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, text: str, top: int = 5
) -> Filled:
    """Fill every [MASK] of the text with its likeliest token.

    Raises:
        InputError: the text has no [MASK].
    """
    marked = text.replace(MASK, tokenizer.mask_token or MASK)
    ids_BT = tokenizer(marked, return_tensors="pt", add_special_tokens=False).input_ids
    places = (ids_BT[0] == tokenizer.mask_token_id).nonzero().flatten()
    limit = readable_length(model)
    if limit is not None and ids_BT.shape[1] > limit:
        raise InputError(
            f"the text has {ids_BT.shape[1]} tokens, the model reads {limit}: shorten it"
        )
    if not len(places):
        raise InputError(f"the text has no {MASK}: write {MASK} where a word is to be filled in")
    training = model.training
    model.eval()
    with torch.compiler.set_stance("force_eager"):
        logits_TV = model(input_ids=ids_BT.to(next(model.parameters()).device)).logits[0].float()
    model.train(training)
    probability, token = logits_TV[places].softmax(-1).topk(top)
    candidates = [
        [(str(tokenizer.decode([t])).strip(), p) for t, p in zip(ts, ps, strict=True)]
        for ts, ps in zip(token.tolist(), probability.tolist(), strict=True)
    ]
    filled = ids_BT[0].clone()
    filled[places] = token[:, 0].cpu()
    return Filled(str(tokenizer.decode(filled)), candidates)


def readable_length(model: nn.Module) -> int | None:
    """The longest sequence a model can read; None where positions go on without end."""
    if hasattr(model, "longest_sequence"):
        return model.longest_sequence()  # type: ignore[operator]
    return getattr(model.config, "max_position_embeddings", None)


def mask_last_word(text: str) -> str:
    """The text with its last word replaced by a mask."""
    head, _, _ = text.rstrip().rpartition(" ")
    return f"{head} {MASK}".strip()
