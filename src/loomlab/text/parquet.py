"""Rows of Parquet files; the same values as in JSONL, and refused with their place likewise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loomlab.errors import InputError
from loomlab.text.reading import tell_once, text_of

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 1024


def read_parquet(path: Path, text_key: str, errors: str = "strict") -> Iterator[str]:
    """The text column of a .parquet file, a batch of rows in memory at a time; null is blank.

    Raises InputError when the file is not Parquet, has no text column of that name, or a text is
    not UTF-8 (errors="replace" puts U+FFFD there).
    """
    for place, row in _rows(path, text_key, errors, _require_text):
        yield text_of(row, text_key, place, errors)


def parquet_rows(
    path: Path, key: str, errors: str = "strict"
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The place ("FILE, row 3") and the column `key` of each row of a .parquet file.

    Raises InputError when the file is not Parquet or lacks the column.
    """
    return _rows(path, key, errors, _require)


def _rows(
    path: Path, key: str, errors: str, check: Callable[[pa.Schema, str, Path], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            check(file.schema_arrow, key, path)
            before = 0
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[key]):
                values = _values(batch.column(0), path, before, errors)
                for number, value in enumerate(values, start=before + 1):
                    yield f"{path}, row {number}", {key: value}
                before += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}): get it again") from error


def _values(column: pa.Array, path: Path, before: int, errors: str) -> list[Any]:
    """The values of a column; Parquet says that strings are UTF-8 and does not hold it."""
    import pyarrow as pa

    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        if not _is_text(column.type):  # strings within lists or records
            raise InputError(
                f"{path}, rows {before + 1} to {before + len(column)}: text that is not UTF-8: "
                "fix the file"
            ) from None
    raw = column.cast(pa.large_binary()).to_pylist()
    return [_decoded(value, f"{path}, row {n}", errors) for n, value in enumerate(raw, before + 1)]


def _decoded(value: bytes | None, place: str, errors: str) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        if errors == "replace":
            file = place.rpartition(", ")[0]
            tell_once(f"{file}: bytes that are not utf-8 were replaced")
            return value.decode(errors="replace")
        raise InputError(
            f"{place}, byte {error.start} of the text: 0x{value[error.start]:02x} is not utf-8: "
            "fix the file, or set corpus.errors=replace"
        ) from None


def _require_text(schema: pa.Schema, key: str, path: Path) -> None:
    texts = [field.name for field in schema if _is_text(field.type)]
    if key not in texts:
        names = ", ".join(texts) or "none"
        raise InputError(
            f'{path} has no text column "{key}": set corpus.text_key (text columns: {names})'
        )


def _require(schema: pa.Schema, key: str, path: Path) -> None:
    if key not in schema.names:
        raise InputError(
            f'{path}: there is no "{key}": set corpus.text_key and corpus.label_key '
            f"(there are: {', '.join(schema.names)})"
        )


def _is_text(kind: pa.DataType) -> bool:
    """Whether values are strings or null, whichever way the file was written."""
    import pyarrow.types as is_

    if is_.is_dictionary(kind):  # categories of pandas
        return _is_text(kind.value_type)
    return any(
        (
            is_.is_string(kind),
            is_.is_large_string(kind),
            is_.is_string_view(kind),
            is_.is_null(kind),
        )
    )
