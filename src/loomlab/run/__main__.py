"""`python -m loomlab.run RUN_DIR`: run a prepared folder, or go on with it, in this process.

A process that the environment names as a further one of a run (RANK or LOCAL_RANK above 0) joins
the first.
"""

from __future__ import annotations

import os
import sys

from loomlab.errors import InputError

USAGE = "usage: python -m loomlab.run RUN_DIR"


def main(argv: list[str]) -> int:
    """Run or join the run of a folder; the exit code."""
    if len(argv) != 1 or argv[0].startswith("-"):
        asked = argv in (["--help"], ["-h"])
        print(f"{USAGE}\n\n{__doc__}" if asked else USAGE, file=None if asked else sys.stderr)
        return 0 if asked else 2
    if any(int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK")):
        from loomlab.run.worker import main as join

        return join(argv[0])
    from loomlab.run.ending import told
    from loomlab.run.folder import RunFolder
    from loomlab.run.prepared import run_prepared
    from loomlab.run.run_log import logged

    folder = RunFolder(argv[0])
    with told(folder.path):
        folder.config()  # else there is no folder to write a log into
        with logged(folder):
            run_prepared(folder)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:  # a rank whose folder is none
        sys.exit(f"loom: {error}")
