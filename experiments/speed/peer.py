"""One timed program in a process of its own: `python peer.py JSON`, started by bench.py.

JSON names the mode, which is one of

  prepare   tokenize the corpus (or find it in the cache) and say where the tokens are
  loom      `loom train`, through the function the console script calls
  trainer   Transformers' Trainer on the same tokens
  bare      a plain loop over the model, batches and optimizer of `loom`
  ddp       Lightning's own Trainer and DDP on the module and the batches of `loom`

and the last line of stdout is a JSON object. Every mode is timed by the same global hook after
each optimizer step. What is not needed is not imported: imports count in the peak memory.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from transformers_peer import Spec, blocks, held_out_loss, peer_collator, peer_model

LEARNING_RATE, WEIGHT_DECAY, BETAS, CLIP = 1e-3, 0.1, (0.9, 0.95), 1.0


class Timer:
    """Time of every optimizer step, what it sent, and peak memory after the last one.

    Of several optimizers the one that steps first counts: others act between its steps.
    """

    def __init__(self, spec: Spec) -> None:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.started, self.steps = spec["started"], spec["steps"]
        self.wall: list[float] = []
        self.processor: list[float] = []
        self.sent: list[float] = []
        self.optimizer: Any = None
        self.peak_bytes = 0
        register_optimizer_step_post_hook(self._stepped)

    def _stepped(self, optimizer: Any, *_: Any) -> None:
        self.optimizer = self.optimizer or optimizer
        if optimizer is not self.optimizer:
            return
        self.sent.append(loopback_bytes())
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
            "sent_bytes": differences(self.sent),
            "peak_bytes": self.peak_bytes,
        }


def differences(values: list[float]) -> list[float]:
    """Each value minus the one before."""
    return [after - before for before, after in itertools.pairwise(values)]


def loopback_bytes() -> float:
    """Bytes that the processes of this machine have sent each other over 127.0.0.1."""
    lines = Path("/proc/net/dev").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.strip().startswith("lo:")))


def composed(overrides: list[str]) -> Any:
    """The config that `loom train OVERRIDES` would run."""
    from loomlab.compose.composer import compose_job, composing
    from loomlab.run.prepared import record_choice

    with composing():
        return record_choice(compose_job(overrides))


def prepare(spec: Spec) -> dict[str, Any]:
    """Tokens and tokenizer on disk, so that no timed program has to make them."""
    import torch

    from loomlab.run.assembly import open_corpus
    from loomlab.run.environment import describe_environment

    corpus = open_corpus(composed(spec["overrides"]))
    tokenizer = Path(spec["work"]) / "tokenizer"
    corpus.hf_tokenizer.save_pretrained(tokenizer)
    return {
        "tokens": str(corpus.train_tokens.folder.absolute()),
        "token_count": len(corpus.train_tokens),
        "tokenizer": str(tokenizer),
        "peak": {"fp32": product_peak(torch.float32), "bf16": product_peak(torch.bfloat16)},
        **describe_environment(),
    }


def product_peak(dtype: Any) -> float:
    """FLOPs a second of the best of some large matrix products: what no training can exceed."""
    import torch

    left, right = torch.ones(1024, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    seconds = []
    for _ in range(30):
        begun = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - begun)
    return float(2 * 1024**3 / min(seconds))


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
        "flops_per_step": summary["flops"] / summary["steps"],
        "parameters": summary["parameters"],
        "bf16": summary["precision"] == "bf16-mixed",
    }


def bare(spec: Spec) -> dict[str, Any]:
    """The loop a script would have, over exactly what `loom train` would train."""
    timer = Timer(spec)
    import torch

    from loomlab.run.assembly import assemble
    from loomlab.run.constructor import constructor
    from loomlab.run.evaluation import evaluate
    from loomlab.run.folder import RunFolder
    from loomlab.run.quiet import quiet_libraries

    quiet_libraries()
    config = composed(spec["overrides"])
    constructor(config.runtime)().apply()
    parts = assemble(config, RunFolder(Path(spec["work"]) / "run"))
    objective, corpus = parts.objective.train(), parts.corpus
    optimizer = constructor(config.optimizer)(model=objective.model)
    for _, batch in zip(range(spec["steps"]), corpus.train_dataloader(), strict=False):
        objective.training_step(batch, 0).backward()
        torch.nn.utils.clip_grad_norm_(objective.model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
    numbers = evaluate(objective, corpus, False, config.trainer.limit_val_batches)
    parameters = sum(p.numel() for p in objective.model.parameters())
    return timer.result() | {
        "loss": numbers["val/loss"], "parameters": parameters, "bf16": False,
    }  # fmt: skip


def ddp(spec: Spec) -> dict[str, Any]:
    """Lightning's Trainer and DDP, with no callback and no logger, on what `loom` would train.

    Lightning starts this program a second time for the second process.
    """
    timer = Timer(spec)
    import pytorch_lightning as pl

    from loomlab.parallelism.meeting import leave_group
    from loomlab.parallelism.threads import divide_threads
    from loomlab.run.assembly import assemble
    from loomlab.run.constructor import constructor
    from loomlab.run.evaluation import evaluate
    from loomlab.run.folder import RunFolder
    from loomlab.run.quiet import quiet_libraries

    quiet_libraries()
    config = composed(spec["overrides"])
    devices = config.parallelism.devices
    divide_threads(devices)
    constructor(config.runtime)().apply()
    rank = int(os.environ.get("LOCAL_RANK", 0))
    parts = assemble(config, RunFolder(Path(spec["work"]) / f"run{rank}"))
    pl.Trainer(
        accelerator="cpu", strategy="ddp", devices=devices, use_distributed_sampler=False,
        max_steps=spec["steps"], max_epochs=-1, limit_val_batches=0, gradient_clip_val=CLIP,
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(parts.objective, datamodule=parts.corpus)  # fmt: skip
    leave_group()
    if rank:
        sys.exit()
    numbers = evaluate(parts.objective, parts.corpus, False, config.trainer.limit_val_batches)
    parameters = sum(p.numel() for p in parts.objective.model.parameters())
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
    loss = held_out_loss(model, composed(spec["overrides"]), spec["bf16"])
    return timer.result() | {
        "loss": loss, "parameters": parameters, "bf16": spec["bf16"],
    }  # fmt: skip


MODES = {"prepare": prepare, "loom": loom, "trainer": trainer, "bare": bare, "ddp": ddp}


def main() -> None:
    """Run one mode; everything but its JSON goes to stderr."""
    spec = json.loads(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        result = MODES[spec["mode"]](spec)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
