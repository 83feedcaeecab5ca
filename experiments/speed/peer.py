"""One process of the speed study: train for a few steps, print one JSON line.

`python peer.py MODE SPEC`: MODE is one of `MODES`, SPEC the JSON of a `Spec`. Every mode times its
steps by the same hook of torch, so that nothing in a program under test knows of it.
"""

# Shapes: B rows, T positions, M scored positions, V vocabulary.

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

SEED, LEARNING_RATE, BETAS, WEIGHT_DECAY, CLIP = 1, 1e-3, (0.9, 0.95), 0.1, 1.0
MASK_RATE, HELD_OUT_BATCHES = 0.15, 4


@dataclass
class Spec:
    """What one process does; `folder` is its own, `data` what the mode `prepare` printed."""

    folder: str
    started: float  # time.monotonic() of the parent just before it started this process
    objective: str = "clm"
    bf16: bool = False
    tuned: bool = False  # our process settings, for a program that is not ours
    layers: int = 4
    width: int = 256
    heads: int = 4
    length: int = 256
    batch: int = 16
    steps: int = 12
    overrides: list[str] = field(default_factory=list)  # for loom alone
    data: dict[str, Any] = field(default_factory=dict)


class StepTimer:
    """Wall and processor time at the end of every optimizer step of this process."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []
        register_optimizer_step_post_hook(self)

    def __call__(self, *_: Any) -> None:
        self.wall.append(time.monotonic())
        self.processor.append(time.process_time())


# -- loom


def loom_overrides(spec: Spec) -> list[str]:
    """What a user types for this training; validation waits until the last step is taken."""
    return [
        f"model={'gpt' if spec.objective == 'clm' else 'bert'}", f"objective={spec.objective}",
        f"model.layers={spec.layers}", f"model.width={spec.width}", f"model.heads={spec.heads}",
        f"sequence_length={spec.length}", f"global_batch_size={spec.batch}",
        f"budget.steps={spec.steps}", f"seed={SEED}",
        "optimizer=adamw", f"optimizer.lr={LEARNING_RATE}", f"optimizer.betas={list(BETAS)}",
        f"optimizer.weight_decay={WEIGHT_DECAY}", "scheduler=constant", "scheduler.warmup=0",
        f"trainer.gradient_clip_val={CLIP}", f"trainer.val_every_n_steps={spec.steps}",
        f"trainer.limit_val_batches={HELD_OUT_BATCHES}", "logger.wandb.mode=offline",
        f"paths.output_dir='{spec.folder}'", *spec.overrides,
    ]  # fmt: skip


def loom(spec: Spec) -> dict[str, Any]:
    """`loom train` with its own defaults for callbacks and logging."""
    from loomlab.entry.train import run
    from loomlab.measure.memory import peak_memory_bytes
    from loomlab.run.folder import RunFolder

    run(loom_overrides(spec))
    final = RunFolder(spec.folder).summary()["final"]
    return {"loss": final["val/loss"], "memory": peak_memory_bytes()}


def composed(spec: Spec) -> Any:
    """The config `loom train` would run with."""
    from loomlab.compose.composer import compose_job, composing
    from loomlab.run.session import record_choice

    with composing():
        return record_choice(compose_job(loom_overrides(spec)))


def bare(spec: Spec) -> dict[str, Any]:
    """Our model, batches and optimizer in a loop without trainer, callbacks and loggers."""
    from loomlab.measure.memory import peak_memory_bytes
    from loomlab.run.assembly import assemble, make
    from loomlab.run.evaluation import evaluate
    from loomlab.run.folder import RunFolder

    config = composed(spec)
    make(config.runtime)().apply()
    parts = assemble(config, RunFolder(spec.folder))
    objective = parts.objective.train()
    optimizer = make(config.optimizer)(model=objective.model)
    for batch in islice(parts.corpus.train_dataloader(), spec.steps):
        objective.loss(*objective.predict(batch)).backward()
        nn.utils.clip_grad_norm_(objective.model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
    memory = peak_memory_bytes()
    scores = evaluate(objective, parts.corpus, False, HELD_OUT_BATCHES)
    return {"loss": scores["val/loss"], "memory": memory}


def prepare(spec: Spec) -> dict[str, Any]:
    """Tokenize once, and tell where tokens and tokenizer lie: the peer needs no Corpus then."""
    from loomlab.run.assembly import open_corpus

    corpus = open_corpus(composed(spec))
    tokenizer = Path(spec.folder) / "tokenizer"
    corpus.hf_tokenizer.save_pretrained(tokenizer)
    return {
        "train": str(corpus.train_tokens.folder),
        "validation": str(corpus.validation_tokens.folder),
        "tokenizer": str(tokenizer),
        "vocabulary": corpus.vocab_size,
    }


# -- Transformers' Trainer


class Blocks(torch.utils.data.Dataset[dict[str, Any]]):
    """The windows loom trains on, in its order, as the rows Transformers' collators take."""

    def __init__(self, spec: Spec, special_ids: list[int]) -> None:
        from loomlab.text.order import SampleStream
        from loomlab.text.packing import window_count
        from loomlab.text.token_file import TokenFile

        file = TokenFile(Path(spec.data["train"]))
        windows = window_count(len(file), spec.length)
        stream = SampleStream(windows, spec.batch, SEED, start=lambda: 0)
        self.order = [w for batch in islice(stream, spec.steps) for w, _ in batch]
        self.tokens, self.length = file.tokens, spec.length
        self.masked, self.special_ids = spec.objective == "mlm", special_ids

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> dict[str, Any]:
        start = self.order[number] * self.length
        row_T = self.tokens[start : start + self.length].astype(np.int64)
        if not self.masked:
            return {"input_ids": row_T, "labels": row_T}
        # given, as in run_mlm.py: without it the collator looks every token up in Python
        special_T = np.isin(row_T, self.special_ids).astype(np.int64)
        return {"input_ids": row_T, "special_tokens_mask": special_T}


def trainer(spec: Spec) -> dict[str, Any]:
    """Transformers' Trainer on its own model of the same size, dropout off."""
    from transformers import (
        DataCollatorForLanguageModeling,
        PreTrainedTokenizerFast,
        Trainer,
        default_data_collator,
        set_seed,
    )

    from loomlab.measure.memory import peak_memory_bytes

    if spec.tuned:
        from loomlab.runtime.tuned import Tuned

        Tuned().apply()
    set_seed(SEED)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(spec.data["tokenizer"])
    model = peer_model(spec, tokenizer)
    collator: Any = default_data_collator
    if spec.objective == "mlm":
        collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=MASK_RATE)
    Trainer(
        model=model,
        args=training_arguments(spec),
        train_dataset=Blocks(spec, tokenizer.all_special_ids),
        data_collator=collator,
    ).train()
    memory = peak_memory_bytes()  # before the scores, which are ours
    return {"loss": held_out_loss(spec, model, tokenizer), "memory": memory}


def training_arguments(spec: Spec) -> Any:
    """Trainer's settings: its defaults but for what must be equal on both sides."""
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=spec.folder,
        per_device_train_batch_size=spec.batch,
        max_steps=spec.steps,
        learning_rate=LEARNING_RATE,
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=CLIP,
        lr_scheduler_type="constant",
        bf16=spec.bf16,
        use_cpu=True,
        seed=SEED,
        train_sampling_strategy="sequential",  # `Blocks` is in loom's order already
        remove_unused_columns=False,  # the collator needs special_tokens_mask
        save_strategy="no",
        report_to="none",
    )


def peer_model(spec: Spec, tokenizer: Any) -> Any:
    """GPT-2 or BERT of Transformers in the size of ours."""
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

    if spec.objective == "clm":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=spec.data["vocabulary"], n_positions=spec.length,
                n_embd=spec.width, n_layer=spec.layers, n_head=spec.heads,
                resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
            )
        )  # fmt: skip
    return BertForMaskedLM(
        BertConfig(
            vocab_size=spec.data["vocabulary"], max_position_embeddings=spec.length,
            hidden_size=spec.width, intermediate_size=4 * spec.width,
            num_hidden_layers=spec.layers, num_attention_heads=spec.heads,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


@torch.no_grad()
def held_out_loss(spec: Spec, model: nn.Module, tokenizer: Any) -> float:
    """Mean loss in nats on the held-out tokens, and masks, that `loom train` is scored on."""
    model.eval()
    total, count = 0.0, 0
    for inputs_BT, index_M, targets_M in held_out_batches(spec, tokenizer):
        logits_MV = model(input_ids=inputs_BT).logits.flatten(0, 1)[index_M].float()
        total += float(F.cross_entropy(logits_MV, targets_M, reduction="sum"))
        count += len(targets_M)
    return total / count


def held_out_batches(spec: Spec, tokenizer: Any) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Inputs (B, T), flat positions (M,) that are scored and the tokens expected there (M,)."""
    from loomlab.text.masking import Masker
    from loomlab.text.order import SequentialBatches
    from loomlab.text.packing import PackedWindows
    from loomlab.text.token_file import TokenFile

    windows = PackedWindows(TokenFile(Path(spec.data["validation"])), spec.length)
    masker = Masker(
        rate=MASK_RATE, to_mask=0.8, to_random=0.1, mask_id=tokenizer.mask_token_id,
        special_ids=tokenizer.all_special_ids, vocab_size=len(tokenizer), seed=SEED,
    )  # fmt: skip
    for pairs in islice(SequentialBatches(len(windows), spec.batch), HELD_OUT_BATCHES):
        samples = windows.__getitems__(pairs)
        tokens_BT = samples.tokens_BU[:, :-1]
        if spec.objective == "clm":
            yield tokens_BT, torch.arange(tokens_BT.numel()), samples.tokens_BU[:, 1:].flatten()
            continue
        inputs, index = masker(
            tokens_BT.numpy(), samples.index_B.tolist(), samples.epoch_B.tolist()
        )
        index_M = torch.from_numpy(index)
        yield torch.from_numpy(inputs), index_M, tokens_BT.flatten()[index_M]


MODES = {"prepare": prepare, "loom": loom, "bare": bare, "trainer": trainer}


def main() -> None:
    """Run one mode; its figures and the times of its steps are the last line of the output."""
    spec = Spec(**json.loads(sys.argv[2]))
    timer = StepTimer()
    result = MODES[sys.argv[1]](spec)
    times = {"wall": [t - spec.started for t in timer.wall], "processor": timer.processor}
    print(json.dumps({**result, **times}), flush=True)


if __name__ == "__main__":
    main()
