"""Text from a model: continuing a prompt and filling masks, through Transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError
from loomlab.measure.modes import evaluating

MASK = "[MASK]"
SPACES = "\u0120\u2581"  # a space in the vocabularies of byte-level BPE and of unigram


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
    """The prompt and its continuation, by the model's own `generate`.

    Where prompt and continuation are longer than what the model reads, it goes on from their
    end: from half of what it reads at least, as often as it takes.

    Raises:
        InputError: what the model says of the next token is no number.
    """
    ids = prompt_ids(tokenizer, prompt).to(next(model.parameters()).device)
    limit, left = readable_length(model), max_new_tokens
    with evaluating(model), torch.compiler.set_stance("force_eager"):  # not compiled by length
        while left > 0:
            seen, new = window(ids.shape[1], left, limit)
            output = model.generate(  # type: ignore[operator]
                ids[:, -seen:],
                attention_mask=torch.ones_like(ids[:, -seen:]),
                max_new_tokens=new,
                do_sample=do_sample,
                top_p=top_p if do_sample else None,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
                logits_processor=[_require_numbers],
                **options,
            )
            written = output[:, seen:]
            ids = torch.cat([ids, written], dim=1)
            left -= new
            if written.shape[1] < new or written[0, -1] == tokenizer.eos_token_id:
                break
    return str(tokenizer.decode(ids[0], skip_special_tokens=True))


def _require_numbers(_: Tensor, scores_BV: Tensor) -> Tensor:
    """Scores of the next token, before one is drawn; drawing from others ends in torch's words."""
    if bool(scores_BV.isnan().any() | scores_BV.isposinf().any()):
        raise InputError("the model has diverged: its scores of the next token are no numbers")
    return scores_BV


def prompt_ids(tokenizer: PreTrainedTokenizerFast, prompt: str) -> Tensor:
    """Token ids (1, T) of a prompt; an empty one is the beginning of a document."""
    ids: Tensor = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    return ids if ids.shape[1] else torch.tensor([[tokenizer.eos_token_id]])


def window(length: int, wanted: int, limit: int | None) -> tuple[int, int]:
    """Tokens at the end of a text that are read, and how many are written after them."""
    if limit is None or length + wanted <= limit:
        return length, wanted
    seen = min(length, limit - min(wanted, limit // 2))
    return seen, min(wanted, limit - seen)


@torch.no_grad()
def fill_masks(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, text: str, top: int = 5
) -> Filled:
    """Fill every [MASK] of the text with its likeliest token.

    Raises:
        InputError: the text has no [MASK].
    """
    if words_carry_space(tokenizer):  # the mask stands for the word with the space before it
        text = text.replace(f" {MASK}", MASK)
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
    with evaluating(model), torch.compiler.set_stance("force_eager"):
        logits_TV = model(input_ids=ids_BT.to(next(model.parameters()).device)).logits[0].float()
    probability, token = logits_TV[places].softmax(-1).topk(top)
    candidates = [
        [(str(tokenizer.decode([t])).strip(), p) for t, p in zip(ts, ps, strict=True)]
        for ts, ps in zip(token.tolist(), probability.tolist(), strict=True)
    ]
    filled = ids_BT[0].clone()
    filled[places] = token[:, 0].cpu()
    return Filled(str(tokenizer.decode(filled)), candidates)


def words_carry_space(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether tokens are words with the space before them, as in byte-level BPE and unigram."""
    return any(len(token) > 1 and token[0] in SPACES for token in tokenizer.get_vocab())


def readable_length(model: nn.Module) -> int | None:
    """The longest sequence a model can read; None where positions go on without end."""
    if hasattr(model, "longest_sequence"):
        return model.longest_sequence()  # type: ignore[operator]
    return getattr(model.config, "max_position_embeddings", None)


def mask_last_word(text: str) -> str:
    """The text with its last word replaced by a mask."""
    head, _, _ = text.rstrip().rpartition(" ")
    return f"{head} {MASK}".strip()
