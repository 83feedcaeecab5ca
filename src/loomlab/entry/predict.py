"""`loom predict RUN_DIR "text" ...`: labels of texts or of their words, or numbers of texts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from loomlab.entry.arguments import Arguments, text
from loomlab.entry.progress_line import ProgressLine


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom predict",
        description="Print label and probability, a tab and the text, one line a text; of a "
        "tagger those of each word, one line a word, and an empty line after each text; of a "
        "model of regression its number. Without texts, each line of the standard input is one. "
        "On a terminal the standard error says how far it is.",
    )
    arguments.add_argument("run_dir", metavar="RUN_DIR", help="folder of a finished run")
    arguments.add_argument("texts", nargs="*", type=text, metavar="TEXT", help="text to label")
    arguments.add_argument("--file", type=Path, help="label each line of a text file")
    arguments.add_argument("--all", action="store_true", help="every label, not only the chosen")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parser().parse_args(argv)
    from loomlab.run.finished_run import FinishedRun

    texts = _texts(options)
    finished = FinishedRun(options.run_dir)
    finished.require(LINES)
    length = int(finished.config.sequence_length)
    labelled = LINES[finished.objective_class.head]
    found = labelled(finished.ready(), finished.tokenizer, texts, length, options.all)
    typed = _of_standard_input(options) and sys.stdin.isatty()
    with ProgressLine("texts", lambda: _how_many(options), on=not typed) as progress:
        for lines in found:
            progress.make_room()
            print(*lines, sep="\n")
            progress.advance()
    return 0


def _text_lines(
    model: Any, tokenizer: Any, texts: Iterator[str], length: int, every: bool
) -> Iterator[list[str]]:
    from loomlab.model.own_unit import label_unit
    from loomlab.text.prediction import predict_labels, predict_numbers

    if label_unit(model.config) is not None:
        for told, numbers in predict_numbers(model, tokenizer, texts, length):
            yield [f"{_numbers(numbers)}\t{' '.join(told.splitlines())}"]
        return
    for predicted in predict_labels(model, tokenizer, texts, length):
        named = predicted.probabilities if every else predicted.labels
        said = _shown(named, predicted.probabilities)
        yield [f"{said}\t{' '.join(predicted.text.splitlines())}"]


def _word_lines(
    model: Any, tokenizer: Any, texts: Iterator[str], length: int, every: bool
) -> Iterator[list[str]]:
    from loomlab.text.tagging import tag_words

    for words in tag_words(model, tokenizer, texts, length):
        lines = []
        for tagged in words:
            named = tagged.probabilities if every or not tagged.label else (tagged.label,)
            lines.append(f"{_shown(named, tagged.probabilities)}\t{tagged.word}")
        yield [*lines, ""]


def _shown(names: Iterable[str], probabilities: dict[str, float]) -> str:
    return "  ".join(f"{name} {probabilities[name]:.3f}" for name in names) or "none"


def _numbers(numbers: dict[str, float]) -> str:
    """One alone; several with their names."""
    shown = [f"{name} {number:.6g}" for name, number in numbers.items()]
    return "  ".join(shown) if len(shown) > 1 else f"{next(iter(numbers.values())):.6g}"


LINES = {"sequence_classification": _text_lines, "token_classification": _word_lines}


def _how_many(options: Any) -> int | None:
    """Texts to come; None where only the standard input knows."""
    return None if _of_standard_input(options) else sum(1 for _ in _texts(options))


def _of_standard_input(options: Any) -> bool:
    return options.file is None and not options.texts


def _texts(options: Any) -> Iterator[str]:
    """Arguments, then the lines of the file; of the standard input if there is neither."""
    from loomlab.errors import InputError
    from loomlab.text.reading import read_lines

    if options.file is not None and not options.file.is_file():
        raise InputError(f"--file {options.file}: there is no such file")
    for given in options.texts:
        if not given.strip():
            raise InputError("a text is empty: give each TEXT some words")
        if os.path.isfile(given):
            raise InputError(f"{given} is a file: label each of its lines by --file {given}")
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
