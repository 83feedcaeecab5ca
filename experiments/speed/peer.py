"""One timed program in a process of its own: `python peer.py JSON`, started by bench.py.

JSON names the mode, which is one of

  prepare   tokenize the corpus (or find it in the cache) and say where the tokens are
  loom      `loom train`, through the function the console script calls
  trainer   Transformers' Trainer on the same tokens
  bare      a plain loop over the model, batches and optimizer of `loom`

and the last line of stdout is a JSON object. Every mode is timed by the same global hook after
each optimizer step. What is not needed is not imported: imports count in the peak memory.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Spec = dict[str, Any]
LEARNING_RATE, WEIGHT_DECAY, BETAS, CLIP, MASK_RATE = 1e-3, 0.1, (0.9, 0.95), 1.0, 0.15


class Timer:
    """Wall and processor time of every optimizer step, and peak memory after the last one."""

    def __init__(self, spec: Spec) -> None:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.started, self.steps = spec["started"], spec["steps"]
        self.wall: list[float] = []
        self.processor: list[float] = []
        self.peak_bytes = 0
        register_optimizer_step_post_hook(self._stepped)

    def _stepped(self, *_: Any) -> None:
        self.wall.append(time.monotonic())
        self.processor.append(time.process_time())
        if len(self.wall) == self.steps:
            from loomlab.measure.memory import peak_memory_bytes

            self.peak_bytes = peak_memory_bytes()

    def result(self) -> dict[str, Any]:
        """Seconds from process start to the end of step 1, of each later step, and the peak."""
        if len(self.wall) != self.steps:
            raise RuntimeError(f"{len(self.wall)} optimizer steps instead of {self.steps}")
        return {
            "first_step_seconds": self.wall[0] - self.started,
            "step_seconds": differences(self.wall),
            "processor_seconds": differences(self.processor),
            "peak_bytes": self.peak_bytes,
        }


def differences(values: list[float]) -> list[float]:
    """Each value minus the one before."""
    return [after - before for before, after in itertools.pairwise(values)]


def composed(overrides: list[str]) -> Any:
    """The config that `loom train OVERRIDES` would run."""
    from loomlab.compose.composer import compose_job, composing
    from loomlab.run.session import record_choice

    with composing():
        return record_choice(compose_job(overrides))


def prepare(spec: Spec) -> dict[str, Any]:
    """Tokens and tokenizer on disk, so that no timed program has to make them."""
    from loomlab.run.assembly import open_corpus
    from loomlab.run.environment import describe_environment

    corpus = open_corpus(composed(spec["overrides"]))
    tokenizer = Path(spec["work"]) / "tokenizer"
    corpus.hf_tokenizer.save_pretrained(tokenizer)
    return {
        "tokens": str(corpus.train_tokens.folder.absolute()),
        "token_count": len(corpus.train_tokens),
        "tokenizer": str(tokenizer),
        **describe_environment(),
    }


def loom(spec: Spec) -> dict[str, Any]:
    """`loom train` as the console script runs it."""
    timer = Timer(spec)
    from loomlab.entry.train import run
    from loomlab.run.folder import RunFolder

    folder = Path(spec["work"]) / "run"
    run([*spec["overrides"], f"paths.output_dir={folder}"])
    summary = RunFolder(folder).summary()
    return timer.result() | {
        "loss": summary["best"]["val/loss"],
        "parameters": summary["parameters"],
        "bf16": summary["precision"] == "bf16-mixed",
    }


def bare(spec: Spec) -> dict[str, Any]:
    """The loop a script would have, over exactly what `loom train` would train."""
    timer = Timer(spec)
    import torch

    from loomlab.run.assembly import assemble, make
    from loomlab.run.evaluation import evaluate
    from loomlab.run.folder import RunFolder
    from loomlab.run.quiet import quiet_libraries

    quiet_libraries()
    config = composed(spec["overrides"])
    make(config.runtime)().apply()
    parts = assemble(config, RunFolder(Path(spec["work"]) / "run"))
    objective, corpus = parts.objective.train(), parts.corpus
    optimizer = make(config.optimizer)(model=objective.model)
    for _, batch in zip(range(spec["steps"]), corpus.train_dataloader(), strict=False):
        optimizer.zero_grad()
        objective.loss(*objective.predict(batch)).backward()
        torch.nn.utils.clip_grad_norm_(objective.model.parameters(), CLIP)
        optimizer.step()
    numbers = evaluate(objective, corpus, False, config.trainer.limit_val_batches)
    parameters = sum(p.numel() for p in objective.model.parameters())
    return timer.result() | {
        "loss": numbers["val/loss"], "parameters": parameters, "bf16": False,
    }  # fmt: skip


def trainer(spec: Spec) -> dict[str, Any]:
    """Transformers' Trainer, set up as run_clm.py and run_mlm.py of its examples do."""
    timer = Timer(spec)
    if spec["tuned"]:
        from loomlab.runtime.tuned import Tuned

        Tuned().apply()
    from transformers import PreTrainedTokenizerFast, Trainer, TrainingArguments, set_seed

    set_seed(1)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(spec["tokenizer"])
    arguments = TrainingArguments(
        output_dir=str(Path(spec["work"]) / "trainer"),
        per_device_train_batch_size=spec["batch"],
        max_steps=spec["steps"],
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        max_grad_norm=CLIP,
        lr_scheduler_type="constant",
        bf16=spec["bf16"],
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        seed=1,
    )
    masked = spec["objective"] == "mlm"
    program = Trainer(
        model=peer_model(spec, tokenizer),
        args=arguments,
        train_dataset=blocks(spec, tokenizer.all_special_ids if masked else None),
        data_collator=peer_collator(spec, tokenizer),
    )
    program.train()
    model = peer_model(spec, tokenizer)  # the trained one is still wrapped for autocast
    model.load_state_dict(program.model.state_dict())
    parameters = sum(p.numel() for p in model.parameters())
    return timer.result() | {
        "loss": held_out_loss(model, spec), "parameters": parameters, "bf16": spec["bf16"],
    }  # fmt: skip


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


def held_out_loss(model: Any, spec: Spec) -> float:
    """Loss of the peer's model on our held-out windows, scored by our code; not timed."""
    from loomlab.run.assembly import make, open_corpus
    from loomlab.run.evaluation import evaluate

    config = composed(spec["overrides"])
    corpus = open_corpus(config)
    objective = make(config.objective)(
        model=model,
        tokenizer=corpus.hf_tokenizer,
        optimizer=None,
        scheduler=None,
        context=None,
        bytes_per_token=corpus.bytes_per_token,
        seed=config.seed,
    )
    corpus.collate = objective.collate
    numbers = evaluate(objective, corpus, spec["bf16"], config.trainer.limit_val_batches)
    return numbers["val/loss"]


MODES = {"prepare": prepare, "loom": loom, "trainer": trainer, "bare": bare}


def main() -> None:
    """Run one mode; everything but its JSON goes to stderr."""
    spec = json.loads(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        result = MODES[spec["mode"]](spec)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
