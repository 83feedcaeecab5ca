"""How a run that does not finish is told on the command line: a sentence and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loomlab.errors import InputError
from loomlab.quoting import to_type
from loomlab.run.output import FULL
from loomlab.secrets import masked_text

log = logging.getLogger("loomlab")


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Turn what ends the run in this folder into a sentence and an exit code.

    Raises:
        SystemExit: 2 for what only the data or the machine could refuse, 1 for a full disk, a
            run that diverged or another process that failed, 128 and the signal for one that was
            asked to stop.
    """
    from loomlab.callbacks.guard import Diverged
    from loomlab.run.ranks import RankFailed
    from loomlab.run.shutdown import Stopped

    again = f"go on with `loom train {to_type('resume', folder)}`"
    try:
        yield
    except InputError as error:
        _say(str(error))
        raise SystemExit(2) from error
    except RankFailed as error:
        _say(f"{error}; {again}")
        raise SystemExit(1) from error
    except Diverged as error:
        _say(str(error))
        raise SystemExit(1) from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        _say(f"the disk of {folder} is full: free some space, then {again}")
        raise SystemExit(1) from error
    except Stopped as stop:
        log.info("%s; %s", stop, again)
        raise SystemExit(stop.exit_code) from stop


def _say(sentence: str) -> None:
    print(f"loom train: {masked_text(sentence)}", file=sys.stderr)
