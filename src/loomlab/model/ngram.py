"""The count-based baseline: an n-gram model with modified Kneser-Ney smoothing.

Shapes: B batch, T sequence length, V vocabulary, N = B * T positions, M continuations.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import nn
from transformers.modeling_outputs import CausalLMOutput

from loomlab.errors import InputError
from loomlab.model.kneser_ney import Level, Tables, kneser_ney, uniform

_CHUNK = 512  # positions scored at once, which bounds the memory next to the output


class NGram:
    """N-gram model with interpolated modified Kneser-Ney smoothing, trained by counting."""

    architecture = "decoder"
    trained_by = "counting"
    owns = ("attention", "position", "optimizer", "scheduler")
    refuses = {"corpus.document_mask": (True,)}
    because = {
        "attention": "model=ngram is trained by counting",
        "position": "model=ngram is trained by counting",
        "optimizer": "model=ngram is trained by counting",
        "scheduler": "model=ngram is trained by counting",
        "corpus.document_mask": "n-grams run on over document ends",
    }
    model_type = "loom_ngram"

    def __init__(
        self,
        order: Annotated[int, "[1, 8]"] = 5,
        *,
        vocab_size: int = 256,
        context_length: int = 256,
        attention: dict[str, Any] | None = None,
        position: dict[str, Any] | None = None,
        **special_ids: int | None,
    ) -> None:
        self.order = order
        self.vocab_size = vocab_size
        self.context_length = context_length
        self.special_ids = special_ids
        vars(self).update(special_ids)

    def build(self, head: str) -> NGramModel:
        """An uncounted model, which predicts every token with equal probability.

        Raises:
            InputError: a head other than causal_lm.
        """
        if head != "causal_lm":
            raise InputError(
                f"model: ngram predicts the next token only, it has no '{head}' head; "
                "use objective=clm or another model"
            )
        return NGramModel(self)

    @staticmethod
    def load(folder: Path, head: str) -> NGramModel:
        """A counted model from the folder it was saved to."""
        return NGramModel.from_pretrained(folder)

    def to_dict(self) -> dict[str, Any]:
        """What config.json holds."""
        return {
            "model_type": self.model_type,
            "order": self.order,
            "vocab_size": self.vocab_size,
            "context_length": self.context_length,
            **self.special_ids,
        }


class NGramModel(nn.Module):
    """Next-token probabilities from counts; tables are buffers, there is nothing to train.

    Contexts at the start of a row are as short as the row makes them, and are scored by the
    shorter n-grams. Rows are one stream: an end-of-document token is a token like any other.
    """

    def __init__(self, config: NGram) -> None:
        super().__init__()
        self.config = config
        self._set(uniform(config.vocab_size, config.order))

    def _set(self, tables: Tables) -> None:
        """Take tables over; level k has buffers keys_k, alpha_k, gamma_k and first_k.

        first_k[c] to first_k[c + 1] is where the continuations of context c lie in keys_k.
        """
        self.register_buffer("unigram", torch.from_numpy(tables.unigram))
        for k, level in enumerate(tables.levels, start=2):
            starts = np.arange(len(level.gamma) + 1, dtype=np.int64) * self.config.vocab_size
            first = np.searchsorted(level.keys, starts)
            for name, array in {**vars(level), "first": first}.items():
                self.register_buffer(f"{name}_{k}", torch.from_numpy(array))

    def count(self, tokens: np.ndarray) -> None:
        """Learn from a stream of token ids (see `kneser_ney`), forgetting what was known.

        Raises:
            InputError: fewer tokens than the order, or an id outside the vocabulary.
        """
        order, vocab_size = self.config.order, self.config.vocab_size
        if len(tokens) < order:
            raise InputError(
                f"model.order: {order} needs a corpus of at least {order} tokens, this one has "
                f"{len(tokens)}; use a lower order or more text"
            )
        if int(tokens.min()) < 0 or int(tokens.max()) >= vocab_size:
            raise InputError(
                f"corpus: token ids run from {tokens.min()} to {tokens.max()} but the vocabulary "
                f"has {vocab_size} entries; use the tokenizer the corpus was made with"
            )
        device = self.get_buffer("unigram").device
        self._set(kneser_ney(tokens, vocab_size, order))
        self.to(device)

    @property
    def parameters_count(self) -> int:
        """How many n-grams are stored, over all lengths."""
        sizes = [len(self.get_buffer(f"keys_{k}")) for k in self._levels]
        return self.config.vocab_size + sum(sizes)

    @property
    def _levels(self) -> range:
        return range(2, self.config.order + 1)

    @torch.no_grad()
    def forward(self, input_ids: torch.Tensor, **_: Any) -> CausalLMOutput:
        """Log-probabilities of the token after each position.

        Args:
            input_ids: (B, T). Everything else a Transformer takes is ignored.

        Returns:
            `.logits` (B, T, V) float32: [b, t] is log P(. | input_ids[b, : t + 1]).
        """
        contexts = [c.flatten() for c in self._contexts(input_ids)]
        logits_NV = torch.empty(input_ids.numel(), self.config.vocab_size, device=input_ids.device)
        for start in range(0, len(logits_NV), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._fill(logits_NV[part], [c[part] for c in contexts])
        return CausalLMOutput(logits=logits_NV.view(*input_ids.shape, -1))

    def _fill(self, out_NV: torch.Tensor, contexts: list[torch.Tensor]) -> None:
        """Unrolled interpolation: sum over k of alpha_k times the gammas of longer contexts."""
        weights = [torch.ones(len(out_NV), device=out_NV.device)]
        for k, context_N in reversed(list(zip(self._levels, contexts, strict=True))):
            weights.append(weights[-1] * self._gamma(k, context_N))
        torch.mul(weights.pop()[:, None], self.get_buffer("unigram"), out=out_NV)
        for k, context_N in zip(self._levels, contexts, strict=True):
            row_M, entry_M = self._continuations(k, context_N)
            word_M = self.get_buffer(f"keys_{k}")[entry_M] % self.config.vocab_size
            share_M = self.get_buffer(f"alpha_{k}")[entry_M] * weights.pop()[row_M]
            out_NV.view(-1).index_add_(0, row_M * self.config.vocab_size + word_M, share_M)
        out_NV.clamp_(min=torch.finfo(out_NV.dtype).tiny).log_()

    @torch.no_grad()
    def log_prob(self, input_ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """log P(target | row up to here), without the rest of the vocabulary.

        Args:
            input_ids, targets: (B, T); targets are token ids, none of them ignored.

        Returns:
            (B, T) float32, equal to gathering `forward(input_ids).logits` at the targets.
        """
        probability_BT = self.get_buffer("unigram")[targets]
        for k, context_BT in zip(self._levels, self._contexts(input_ids), strict=True):
            entry_BT = self._find(k, context_BT, targets)
            alpha_BT = _looked_up(self.get_buffer(f"alpha_{k}"), entry_BT, 0.0)
            probability_BT = self._gamma(k, context_BT) * probability_BT + alpha_BT
        return probability_BT.clamp(min=torch.finfo(torch.float32).tiny).log()

    def _contexts(self, ids_BT: torch.Tensor) -> list[torch.Tensor]:
        """For the levels 2 to n: node of the k - 1 tokens that end here, -1 if never seen."""
        contexts = [ids_BT]
        for k in self._levels[:-1]:
            longer_BT = torch.full_like(ids_BT, -1)
            longer_BT[:, 1:] = self._find(k, contexts[-1][:, :-1], ids_BT[:, 1:])
            contexts.append(longer_BT)
        return contexts[: len(self._levels)]

    def _find(self, k: int, context: torch.Tensor, word: torch.Tensor) -> torch.Tensor:
        """Entry of context + word in level k, -1 if there is none (or no context)."""
        keys = self.get_buffer(f"keys_{k}")
        if len(keys) == 0:
            return torch.full_like(word, -1)
        wanted = context * self.config.vocab_size + word  # negative without a context
        entry = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        return torch.where(keys[entry] == wanted, entry, -1)

    def _gamma(self, k: int, context: torch.Tensor) -> torch.Tensor:
        return _looked_up(self.get_buffer(f"gamma_{k}"), context, 1.0)

    def _continuations(self, k: int, context_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """All entries of level k that continue the contexts: (position M, entry M)."""
        row_R = (context_N >= 0).nonzero().squeeze(1)
        first = self.get_buffer(f"first_{k}")
        start_R, end_R = first[context_N[row_R]], first[context_N[row_R] + 1]
        size_R = end_R - start_R
        before_R = size_R.cumsum(0) - size_R
        which_M = torch.repeat_interleave(size_R)
        offset_M = torch.arange(len(which_M), device=which_M.device)
        return row_R[which_M], offset_M + (start_R - before_R)[which_M]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and ngram.npz (plain arrays) into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.config.to_dict(), indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")
        arrays: dict[str, Any] = {
            name: buffer.cpu().numpy()
            for name, buffer in self.named_buffers()
            if not name.startswith("first_")
        }
        np.savez(folder / "ngram.npz", **arrays)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> NGramModel:
        """Read what `save_pretrained` wrote.

        Raises:
            InputError: the folder does not hold an n-gram model.
        """
        folder = Path(folder)
        for name in ("config.json", "ngram.npz"):
            if not (folder / name).is_file():
                raise InputError(f"{folder}: no saved n-gram model here, {name} is missing")
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if settings.pop("model_type", None) != NGram.model_type:
            raise InputError(f"{folder}: config.json is not that of an n-gram model")
        model = cls(NGram(**settings))
        with np.load(folder / "ngram.npz", allow_pickle=False) as arrays:
            levels = [
                Level(*(arrays[f"{part}_{k}"] for part in ("keys", "alpha", "gamma")))
                for k in model._levels
            ]
            model._set(Tables(arrays["unigram"], levels))
        return model


def _looked_up(table: torch.Tensor, index: torch.Tensor, missing: float) -> torch.Tensor:
    """table[index], with `missing` where the index is negative."""
    if len(table) == 0:
        return torch.full(index.shape, missing, dtype=table.dtype, device=table.device)
    return torch.where(index >= 0, table[index.clamp(min=0)], missing)
