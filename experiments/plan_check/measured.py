"""What steps really take, to judge `loom plan` by: memory as torch allocates it, and seconds.

Each configuration runs in processes of its own. Usage: measured.py CORPUS_FILE CACHE_DIR
[--times] [NAME ...]; one line of JSON per configuration.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.profiler import ProfilerActivity, profile

from loomlab.compose.gate import check
from loomlab.plan.outlook import outlook
from loomlab.plan.planned import hardware_of
from loomlab.run.assembly import assemble, split_of
from loomlab.run.constructor import constructor
from loomlab.run.folder import RunFolder

CASES: dict[str, list[str]] = {
    "gpt": ["model.layers=4", "model.width=128"],
    "recomputed": ["model.layers=4", "model.width=128", "activation_checkpointing=block"],
    "encoder": ["model=bert", "objective=mlm", "model.layers=2", "model.width=128"],
    "bf16": ["model.layers=2", "model.width=128", "precision=bf16",
             "sequence_length=1024", "global_batch_size=4"],
    "muon": ["model.layers=2", "model.width=256", "optimizer=muon",
             "trainer.accumulate_grad_batches=4"],
    "fsdp2": ["model.layers=4", "model.width=192", "parallelism=fsdp2",
              "global_batch_size=8"],
}  # fmt: skip


def config_of(name: str, corpus: str, cache: str) -> Any:
    """The checked config of a case."""
    shared = ["corpus=text", f"corpus.path={corpus}", "tokenizer=byte", "logger=none",
              "callbacks=[]", f"paths.cache_dir={cache}"]  # fmt: skip
    checked = check([*shared, *CASES[name]])
    assert not checked.problems, checked.message()
    return checked.configs[0]


def measure(config: Any, rank: int, meeting: str, times: bool) -> dict[str, Any]:
    """Take steps; the peak of what is allocated from before the model is built on."""
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank,
        world_size=constructor(config.parallelism)().world_size,
    )  # fmt: skip
    constructor(config.runtime)().apply()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step = prepared(config)
        step()
        step()
    result = {"peak": allocated(seen)}
    if times:
        result["seconds"] = min(timed(step) for _ in range(7))
    return result


def prepared(config: Any) -> Any:
    """A function that takes one step of the run, as Lightning would."""
    parts = assemble(config, RunFolder(Path(tempfile.mkdtemp())))
    objective, accumulate = parts.objective, split_of(config, parts.parallelism).steps
    half = constructor(config.precision)().bf16
    objective.train()
    mesh = init_device_mesh(
        "cpu", (dist.get_world_size(), 1), mesh_dim_names=("data_parallel", "tensor_parallel")
    )
    parts.parallelism.spread(objective.model, mesh)
    optimizer = objective.configure_optimizers()["optimizer"]
    batches = iter(parts.corpus.train_dataloader())

    def step() -> None:
        for _ in range(accumulate):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = objective.training_step(next(batches), 0)
            (loss / accumulate).backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def allocated(seen: profile) -> int:
    """The most bytes that were allocated at one time."""
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    total = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


def timed(step: Any) -> float:
    """Seconds of a step."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def apart(work: Any) -> Any:
    """The result of a function that runs in a process of its own; forked, to import once."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(work()).encode())
        os._exit(0)
    os.close(writing)
    return child, reading


def result_of(started: Any) -> Any:
    """Wait for a process."""
    child, reading = started
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "it failed"
    return json.loads(text)


def main(corpus: str, cache: str, *rest: str) -> None:
    """Measure and plan the cases named, or all."""
    times = "--times" in rest
    for name in [r for r in rest if r in CASES] or list(CASES):
        config = config_of(name, corpus, cache)
        world = int(config.parallelism.get("devices", 1))
        meeting = str(Path(tempfile.mkdtemp()) / "meeting")
        steps = [partial(measure, config, r, meeting, times) for r in range(world)]
        running = [apart(step) for step in steps]
        found = result_of(running[0])
        for other in running[1:]:
            result_of(other)
        way = apart(partial(plan, config))
        print(json.dumps({"name": name, **found, **result_of(way)}), flush=True)


def plan(config: Any) -> dict[str, Any]:
    """What `loom plan` says of the same step."""
    constructor(config.runtime)().apply()
    hardware = hardware_of(["hardware=this_machine"])
    figures = outlook(config, hardware, {"plain": False}).figures()["plain"]
    return {"planned_peak": figures["peak_bytes"], "planned_seconds": figures["seconds_per_step"]}


if __name__ == "__main__":
    main(*sys.argv[1:])
