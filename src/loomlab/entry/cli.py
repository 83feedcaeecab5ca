"""The console script `loom`: finds the verb and hands over; imports nothing heavy."""

from __future__ import annotations

import importlib
import os
import sys

from loomlab.errors import InputError, did_you_mean

VERBS = {
    "train": "train a model, or a sweep of them with -m (a Hydra app)",
    "evaluate": "held-out numbers of a finished run",
    "generate": "text from a trained decoder",
    "fill": "words for the masks of a text, from a trained encoder",
    "validate": "check overrides as `loom train` would, and stop",
    "options": "every option of every axis, with its defaults",
    "corpora": "list, fetch and show corpora",
    "study": "run a study of experiments/ and draw its table and figure",
    "completion": "print a shell completion script",
}


def usage() -> str:
    """The help text of `loom`."""
    lines = ["usage: loom VERB ...", "", "verbs:"]
    lines += [f"  {verb:<11} {what}" for verb, what in VERBS.items()]
    return "\n".join([*lines, "", "`loom VERB --help` tells more about one."])


def main(argv: list[str] | None = None) -> None:
    """Run one verb and exit: 0 done, 1 failed, 2 refused input, 130 interrupted."""
    # OpenMP reads this when torch is loaded: threads that spin while they wait were measured to
    # make a step 4 to 8 times slower when another process wants the core, and no faster else.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
        print(f"loom: there is no verb '{verb}'; {did_you_mean(verb, VERBS, 'verbs')}",
              file=sys.stderr)  # fmt: skip
        sys.exit(2)
    try:
        sys.exit(importlib.import_module(f"loomlab.entry.{verb}").run(rest))
    except InputError as error:
        print(f"loom {verb}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"loom {verb}: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
