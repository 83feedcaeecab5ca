"""What two runs were set to differently."""

from __future__ import annotations

from typing import Any

from loomlab.report.row import Row, read_config
from loomlab.report.settings import flat, same_as, typed
from loomlab.report.sheet import Sheet

MISSING = object()
OF_THE_FOLDER = ("paths", "resume")  # they differ between any two runs


def difference_sheet(one: Row, other: Row) -> Sheet:
    """Every setting in which two runs differ, seed and logger included.

    Of a job that never started only what its command line gave is known, and compared.
    """
    (left, all_of_left), (right, all_of_right) = comparable(one), comparable(other)
    keys = [
        key for key in {**left, **right}
        if (all_of_left or key in left) and (all_of_right or key in right)
    ]  # fmt: skip
    pairs = {key: (left.get(key, MISSING), right.get(key, MISSING)) for key in keys}
    differ = [key for key, pair in pairs.items() if _unlike(*pair)]
    # that another option is another class is told by the option
    rows = [
        [key, *map(said, pairs[key])] for key in differ
        if key.removesuffix("._target_") == key or key.removesuffix("._target_") not in differ
    ]  # fmt: skip
    names = [one.name, other.name] if one.name != other.name else [
        str(one.folder.path), str(other.folder.path)
    ]  # fmt: skip
    title = f"{len(rows)} of {len(keys)} settings differ"
    return Sheet(title, ["setting", *names], rows)


def comparable(row: Row) -> tuple[dict[str, Any], bool]:
    """The settings of a run but for its folder, and whether they are all of them."""
    config, _ = read_config(row.folder)
    told = row.job.overrides if row.job else ()
    settings = typed(told) if config is None else flat(config)
    kept = {k: v for k, v in settings.items() if k.partition(".")[0] not in OF_THE_FOLDER}
    return kept, config is not None


def _unlike(one: Any, other: Any) -> bool:
    missing = (one is MISSING, other is MISSING)
    return missing[0] != missing[1] or same_as(one) != same_as(other)


def said(value: Any) -> str:
    """A value as a table shows it."""
    if value is MISSING:
        return "-"
    return "null" if value is None else str(value)
