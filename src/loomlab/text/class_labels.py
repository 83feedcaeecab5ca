"""The labels of documents: which there are, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loomlab.errors import InputError, did_you_mean
from loomlab.text.reading import tell_once

SHOWN = 12  # labels that a message spells out


@dataclass(frozen=True)
class RowLabels:
    """Labels of one document, as its source writes them, and where that is."""

    labels: tuple[str, ...]
    place: str  # such as "reviews.csv, line 3"


def resolve(row: RowLabels, names: Sequence[str]) -> tuple[int, ...]:
    """Numbers of a row's labels in `names`; a label may also be written as such a number.

    Raises InputError naming the place of a label that is neither.
    """
    return tuple(_number(label, names, row.place) for label in row.labels)


def _number(label: str, names: Sequence[str], place: str) -> int:
    if label in names:
        return names.index(label)
    if not label.lstrip("-").isdecimal():
        raise InputError(
            f"{place}: the label '{label}' is not one of corpus.labels=[{_listed(names)}]: "
            f"{_hint(label, names)}"
        )
    if not 0 <= int(label) < len(names):
        raise InputError(
            f"{place}: the label {label} is out of range: corpus.labels names {len(names)}, so "
            f"numbers go from 0 to {len(names) - 1}: fix the row or name more"
        )
    return int(label)


def _hint(label: str, names: Sequence[str]) -> str:
    close = did_you_mean(label, names)
    return close if close.startswith("did") else "fix the row or add the label to the list"


def _listed(names: Sequence[str]) -> str:
    return ",".join(names[:SHOWN]) + (",..." if len(names) > SHOWN else "")


def settle_names(
    train: Iterable[RowLabels], validation: Iterable[RowLabels], given: Sequence[str] = ()
) -> list[str]:
    """The names of all labels, in the order of their numbers.

    given: the names, if they are known; else they are those of the training rows, sorted (as
    numbers if all are). Both splits are read to the end, so every fault is found here.

    Raises:
        InputError: a label outside `given`, fewer than two different labels, or a held-out row
            with a label that no training row has.
    """
    if len(set(given)) != len(given):
        raise InputError(f"corpus.labels=[{_listed(given)}]: a name is there twice: drop one")
    counts, rows, places = _count(train, given)
    if len(counts) < 2 and not 0 < sum(counts.values()) < rows:
        only = f"all {rows:,} training rows are labelled '{next(iter(counts), '')}'"
        only = only if counts else "no training row has a label"
        raise InputError(
            f"{places}: {only}: give rows of two labels or more, or set corpus.label_key to "
            "another key"
        )
    for row in validation:
        labels = [given[n] for n in resolve(row, given)] if given else row.labels
        for label in labels:
            if label not in counts:
                raise InputError(
                    f"{row.place}: the label '{label}' of this held-out row is in no training "
                    f"row (those have: {_listed(_sorted(counts))}): fix it, or change what is "
                    "held out with corpus.validation_every or corpus.validation_path"
                    f"{_or_regression(label)}"
                )
    return list(given) or _sorted(counts)


def _or_regression(label: str) -> str:
    """What else to do with a label that is a number."""
    digits = label.lstrip("-").replace(".", "", 1)
    return ", or use objective=regression for numbers" if digits.isdecimal() else ""


def settle_tags(
    train: Iterable[RowLabels], validation: Iterable[RowLabels], given: Sequence[str] = ()
) -> list[str]:
    """As `settle_names`, for a label per word: held-out rows may have labels of their own.

    Raises:
        InputError: a label outside `given`, or fewer than two different ones in the training rows.
    """
    if len(set(given)) != len(given):
        raise InputError(f"corpus.labels=[{_listed(given)}]: a name is there twice: drop one")
    counts, rows, places = _count(train, given)
    if len(counts) < 2:
        only = f"all words of {rows:,} training rows are labelled '{next(iter(counts), '')}'"
        raise InputError(
            f"{places}: {only if counts else 'no training row has a word'}: give rows with two "
            "labels or more, or set corpus.label_key to another key"
        )
    held_out, _, places = _count(validation, given)
    if unseen := _sorted(held_out.keys() - counts.keys()):
        some = "a label is" if len(unseen) == 1 else f"{len(unseen)} labels are"
        tell_once(
            f"{places}: {some} in held-out rows alone, and cannot be learned: {_listed(unseen)}"
        )
    return list(given) or _sorted(counts | held_out)


def _count(train: Iterable[RowLabels], given: Sequence[str]) -> tuple[Counter[str], int, str]:
    """How often each label is there, in how many rows, and where these rows are from."""
    counts: Counter[str] = Counter()
    rows, place = 0, "corpus"
    for row in train:
        counts.update([given[n] for n in resolve(row, given)] if given else row.labels)
        rows, place = rows + 1, row.place
    return counts, rows, place.rpartition(", ")[0] or place


def _sorted(names: Iterable[str]) -> list[str]:
    found = list(names)
    if all(name.lstrip("-").isdecimal() for name in found):
        return sorted(found, key=int)
    return sorted(found)
