"""The console script `loom`: finds the verb and hands over; imports nothing heavy."""

from __future__ import annotations

import importlib
import os
import sys

from loomlab.entry.pipes import (
    CUT_OFF,
    complain,
    settled,
    speak_any_locale,
    work_on_without_reader,
)
from loomlab.errors import InputError, did_you_mean

VERBS = {
    "train": "train a model, or a sweep of them with -m (a Hydra app)",
    "evaluate": "held-out numbers of a finished run",
    "generate": "text from a trained decoder",
    "fill": "words for the masks of a text, from a trained encoder",
    "predict": "labels of texts or words, or numbers, from a trained model",
    "export": "the model of a run in another format, verified",
    "compress": "prune, quantize or factor a finished run without training",
    "validate": "check overrides as `loom train` would, and stop",
    "plan": "memory, messages and speed of a run on other machines, found without running it",
    "options": "every option of every axis, with its defaults",
    "corpora": "list, fetch and show corpora",
    "sweep": "how a sweep stands, and going on with it",
    "study": "run a study of experiments/ and draw its table and figure",
    "report": "write the page of a sweep: one HTML file",
    "dashboard": "publish views of a sweep to W&B: a workspace and a report",
    "wandb-sweep": "write a sweep as a file of W&B, for its agents",
    "dash": "look at runs: the page in a browser, W&B LEET or Trackio",
    "compare": "rank runs, running ones too: settings, seeds, baseline, Pareto front",
    "job": "run one job of a sweep (launchers call it)",
    "completion": "print a shell completion script",
}

HYDRA = ("train", "validate", "wandb-sweep")  # these know what Hydra's --config-dir means
WORKING = ("train", "sweep", "study", "compress", "job")  # these go on when nobody reads them


def usage() -> str:
    """The help text of `loom`."""
    lines = ["usage: loom VERB ...", "", "verbs:"]
    lines += [f"  {verb:<11} {what}" for verb, what in VERBS.items()]
    lines += ["", "`loom VERB --help` tells more about one."]
    return "\n".join([*lines, "`--config-dir DIR` names a folder of more options to any of them."])


def main(argv: list[str] | None = None) -> None:
    """Run one verb and exit: 0 done, 1 failed, 2 refused input, 130 interrupted."""
    # OpenMP reads this when torch is loaded: threads that spin while they wait were measured to
    # make a step 4 to 8 times slower when another process wants the core, and no faster else.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    speak_any_locale()
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if arguments else 2)
    verb, *rest = arguments
    if verb == "--version":
        from loomlab import __version__

        print(f"loom {__version__}")
        sys.exit(0)
    if verb not in VERBS:
        complain(f"loom: there is no verb '{verb}'; {did_you_mean(verb, VERBS, 'verbs')}")
        sys.exit(2)
    if verb in WORKING:
        work_on_without_reader()
    sys.exit(settled(_run(verb, rest)))


def _run(verb: str, arguments: list[str]) -> int:
    """Run a verb; the exit code."""
    from loomlab.entry.arguments import with_config_dirs
    from loomlab.secrets import masked_text

    try:
        if verb not in HYDRA:
            arguments = with_config_dirs(arguments)
        return importlib.import_module(f"loomlab.entry.{verb.replace('-', '_')}").run(arguments)
    except InputError as error:
        complain(f"loom {verb}: {masked_text(str(error))}")
        return 2
    except KeyboardInterrupt:
        complain(f"loom {verb}: interrupted")
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough, as in `loom options | head`
        return CUT_OFF


if __name__ == "__main__":
    main()
