"""What the peer trains: Transformers' model of our size, on our tokens in blocks."""

# What is not needed is not imported: imports count in the peak memory of a timed program.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Spec = dict[str, Any]
MASK_RATE = 0.15


def peer_model(spec: Spec, tokenizer: Any) -> Any:
    """GPT2LMHeadModel or BertForMaskedLM of the size of our model, without dropout."""
    length, size = spec["length"], spec["size"]
    shared = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if spec["objective"] == "clm":
        from transformers import GPT2Config, GPT2LMHeadModel

        return GPT2LMHeadModel(
            GPT2Config(
                n_layer=size["layers"], n_embd=size["width"], n_head=size["heads"],
                n_positions=length, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
                **shared,
            )
        )  # fmt: skip
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(
        BertConfig(
            num_hidden_layers=size["layers"], hidden_size=size["width"],
            num_attention_heads=size["heads"], intermediate_size=4 * size["width"],
            max_position_embeddings=length, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, **shared,
        )
    )  # fmt: skip


def peer_collator(spec: Spec, tokenizer: Any) -> Callable[..., Any]:
    """The collator that the examples of Transformers take for the objective."""
    from transformers import DataCollatorForLanguageModeling, default_data_collator

    if spec["objective"] == "clm":
        return default_data_collator
    return DataCollatorForLanguageModeling(tokenizer, mlm=True, mlm_probability=MASK_RATE)


def blocks(spec: Spec, special_ids: list[int] | None) -> Any:
    """Fixed blocks of the token file, as the examples' group_texts makes them.

    Columns are those of the examples; tensors straight from the memory map instead of the lists
    an Arrow table gives spare the peer a conversion.
    """
    import numpy as np
    import torch
    from torch.utils.data import Dataset

    from loomlab.text.token_file import TokenFile

    tokens, length = TokenFile(Path(spec["tokens"])).tokens, spec["length"]

    class Blocks(Dataset[dict[str, torch.Tensor]]):
        def __len__(self) -> int:
            return len(tokens) // length

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            ids = tokens[index * length : (index + 1) * length].astype(np.int64)
            ids_T = torch.from_numpy(ids)
            row = {"input_ids": ids_T, "attention_mask": torch.ones_like(ids_T)}
            if special_ids is None:
                return {**row, "labels": ids_T}
            special = np.isin(ids, special_ids).astype(np.int64)
            return {**row, "special_tokens_mask": torch.from_numpy(special)}

    return Blocks()


def held_out_loss(model: Any, config: Any, bf16: bool) -> float:
    """Loss of the peer's model on our held-out windows, scored by our code; not timed."""
    from loomlab.run.assembly import open_corpus
    from loomlab.run.constructor import constructor
    from loomlab.run.evaluation import evaluate

    corpus = open_corpus(config)
    objective = constructor(config.objective)(
        model=model,
        tokenizer=corpus.hf_tokenizer,
        optimizer=None,
        scheduler=None,
        context=None,
        token_bytes=corpus.token_bytes(),
        seed=config.seed,
    )
    corpus.collate = objective.collate
    numbers = evaluate(objective, corpus, bf16, config.trainer.limit_val_batches)
    return numbers["val/loss"]
