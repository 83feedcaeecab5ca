"""`loom predict RUN_DIR "text" ...`: labels of texts, from a trained classifier."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loomlab.entry.arguments import Arguments, text


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom predict",
        description="Print label and probability, a tab and the text, one line a text. "
        "Without texts, each line of the standard input is one.",
    )
    arguments.add_argument("run_dir", metavar="RUN_DIR", help="folder of a finished run")
    arguments.add_argument("texts", nargs="*", type=text, metavar="TEXT", help="text to label")
    arguments.add_argument("--file", type=Path, help="label each line of a text file")
    arguments.add_argument("--all", action="store_true", help="every label, not only the chosen")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.run.loading import FinishedRun
    from loomlab.text.prediction import predict_labels

    texts = _texts(options)
    finished = FinishedRun(options.run_dir)
    finished.require("sequence_classification", "loom predict")
    length = int(finished.config.sequence_length)
    for predicted in predict_labels(finished.ready(), finished.tokenizer, texts, length):
        named = predicted.probabilities if options.all else predicted.labels
        shown = "  ".join(f"{name} {predicted.probabilities[name]:.3f}" for name in named)
        print(f"{shown or 'none'}\t{predicted.text}")
    return 0


def _texts(options: Any) -> Iterator[str]:
    """Arguments, then the lines of the file; of the standard input if there is neither."""
    from loomlab.errors import InputError
    from loomlab.text.reading import read_lines

    if options.file is not None and not options.file.is_file():
        raise InputError(f"--file {options.file}: there is no such file")
    lines: Any = () if options.texts else _standard_input()
    if options.file is not None:
        remedy = "convert it with `iconv -f LATIN1 -t UTF-8 OLD > NEW`"
        lines = read_lines(options.file, remedy=remedy)
    return (line.strip() for line in (*options.texts, *lines) if line.strip())


def _standard_input() -> Iterator[str]:
    """Its lines; InputError for what is not UTF-8."""
    from loomlab.errors import InputError

    try:
        for line in sys.stdin:
            line.encode()  # a C locale lets through what is none
            yield line
    except UnicodeError:
        raise InputError("the standard input is not UTF-8: convert it with `iconv`") from None
