"""`loom train`: the Hydra app. Checks every job first, then lets Hydra run them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from loomlab.catalog.search import all_conf_dirs, package_conf
from loomlab.compose.composer import CONFIG_NAME, prepare
from loomlab.compose.hydra_node import SweepAsked, command_line, flags_of_jobs
from loomlab.entry.among import refuse_sweep, train_among
from loomlab.entry.checked import OF_SWEEP, checked_run, names_folder
from loomlab.entry.hydra_run import run_once
from loomlab.parallelism.place import given_place
from loomlab.quoting import override
from loomlab.run.ending import told
from loomlab.run.moving_in import move_in
from loomlab.run.output import probe, restored_when_refused, withdrawn_when_refused
from loomlab.secrets import mask_logs

HELP = """\
usage: loom train [-m] [OVERRIDE ...]

Train one model, or with -m one for every combination of comma-separated values.

  loom train                                    a small GPT on the embedded corpus
  loom train model=bert objective=mlm tokenizer=wordpiece
  loom train -m optimizer=adamw,muon,sgd seed=1,2,3
  loom train resume=outputs/2026-01-31/12-00-00-gpt-clm

An override is AXIS=OPTION, KEY=VALUE or +KEY=VALUE (a key the option's library also takes);
`loom options` lists them. Hydra's own flags work: --cfg job, --info, --config-dir, --hydra-help.
Exit codes: 0 done, 1 a job failed, 2 refused before anything was started, 130 interrupted."""


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    if argv in (["--help"], ["-h"]):
        print(HELP)
        return 0
    argv, arguments = command_line(argv, "train")
    passive = arguments.cfg or arguments.info or arguments.shell_completion
    if passive or arguments.hydra_help or arguments.help:
        _start(argv)
    elif arguments.multirun:
        _sweep(argv, arguments.overrides)
    else:
        try:
            return train_among(given_place(), argv, arguments.overrides, _train_here)
        except SweepAsked:
            _sweep(argv, arguments.overrides)
    return 0


def _train_here(argv: list[str], overrides: list[str]) -> None:
    train_one(argv, overrides, withdrawn_when_refused)


def train_one(
    argv: list[str],
    overrides: list[str],
    around: Callable[[Path], AbstractContextManager[Any]] = nullcontext,
) -> None:
    """One run, in this process; `around` is entered for its folder.

    Without a folder of its own in the command line it gets one that no other run has.
    """
    argv, config = checked_run(argv, overrides)
    folder = Path(str(config.hydra.run.dir))
    with around(folder):
        own = move_in(folder, names_folder(overrides), config.overwrite)
        if own != folder:
            argv = [*argv, override("paths.output_dir", own)]
        sys.argv = ["loom train", *argv]  # which is on record
        run_once(argv, _job)


def _sweep(argv: list[str], overrides: list[str]) -> None:
    """Many runs: planned and recorded here, run by the sweeper that Hydra calls."""
    from loomlab.sweep.plan import plan
    from loomlab.sweep.run import prepare_sweep

    refuse_sweep(given_place())
    flags = flags_of_jobs(argv, overrides)
    made = plan(overrides, argv)
    probe(made.folder, "paths.sweep_dir")
    made.named = names_folder(overrides, OF_SWEEP)
    if prepare_sweep(made, flags):
        _start([*flags, "-m", override("hydra.sweep.dir", made.folder)])


def _start(argv: list[str]) -> None:
    """Hand over to Hydra."""
    prepare(argv)
    sys.argv = ["loom train", *argv]
    conf = str(package_conf())
    hydra.main(config_path=conf, config_name=CONFIG_NAME, version_base="1.3")(_job)()


def _job(config: DictConfig) -> float:
    """The run, in the folder Hydra made for it."""
    from loomlab.run.prepared import prepare_folder
    from loomlab.run.session import execute

    context = HydraConfig.get()
    mask_logs()
    path = Path(context.runtime.output_dir)
    config.paths.output_dir = str(path)
    restored = restored_when_refused(path) if config.resume else nullcontext()
    with told(path), restored:
        given = list(context.overrides.task)
        folder, plain = prepare_folder(config, given, all_conf_dirs(sys.argv)[1:])
        return execute(plain, folder)
