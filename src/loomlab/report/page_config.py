"""Where the whole configs of a sweep's runs differ, for its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomlab.report.difference import comparable, said
from loomlab.report.row import Row
from loomlab.report.settings import same_as
from loomlab.secrets import masked_text

LONGEST = 200  # characters of one value


def configs(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Per run its settings (dotted key to text), those that all runs agree in left out.

    That another option is another class is told by the option. Not `whole` is a run that never
    started, of which only its command line is known.
    """
    known = [comparable(row) for row in rows]
    keys = {key for values, _ in known for key in values}
    differ = {
        key for key in keys
        if len({same_as(values[key]) if key in values else "" for values, whole in known
                if whole or key in values}) > 1
    }  # fmt: skip
    told = sorted(k for k in differ if k.removesuffix("._target_") not in differ - {k})
    return [
        {
            "whole": whole,
            "values": {key: _short(values[key]) for key in told if key in values},
        }
        for values, whole in known
    ]


def _short(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()  # 1 and 1.0 are one value
    text = masked_text(said(int(value) if whole else value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
