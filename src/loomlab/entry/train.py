"""`loom train`: the Hydra app. Checks every job first, then lets Hydra run them."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from loomlab.compose.composer import CONFIG_NAME, prepare
from loomlab.compose.gate import check
from loomlab.compose.search import all_conf_dirs, package_conf
from loomlab.entry.resume import refuse_changes, with_recorded_overrides
from loomlab.errors import InputError

log = logging.getLogger("loomlab")
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
    arguments = get_args_parser().parse_args(argv)
    passive = arguments.cfg or arguments.info or arguments.shell_completion
    if not (passive or arguments.hydra_help or arguments.help):
        recorded = with_recorded_overrides(arguments.overrides)
        argv = [*(a for a in argv if a not in arguments.overrides), *recorded]
        checked = check(recorded, arguments.multirun, argv)
        if checked.problems:
            raise InputError(checked.message())
        for config in checked.configs:
            refuse_changes(config)
    prepare(argv)
    sys.argv = ["loom train", *argv]
    conf = str(package_conf())
    hydra.main(config_path=conf, config_name=CONFIG_NAME, version_base="1.3")(_job)()
    return 0


def _job(config: DictConfig) -> float:
    """One job, in the folder Hydra made for it."""
    from loomlab.run.folder import RunFolder
    from loomlab.run.session import execute, record_choice
    from loomlab.run.shutdown import Stopped

    context = HydraConfig.get()
    folder = RunFolder(Path(context.runtime.output_dir))
    plain = record_choice(config, all_conf_dirs(sys.argv)[1:])
    plain.paths.output_dir = str(folder.path)
    folder.create(plain, list(context.overrides.task))
    try:
        value = execute(plain, folder)
    except InputError as error:  # what only the data or the machine could refuse
        if context.mode == RunMode.MULTIRUN:
            raise  # the other jobs go on
        print(f"loom train: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except Stopped as stop:
        log.info("%s; go on with `loom train resume=%s`", stop, folder.path)
        raise SystemExit(stop.exit_code) from stop
    log.info("finished: %s = %.4f, everything is in %s", plain.metric, value, folder.path)
    return value
