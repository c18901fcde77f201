"""Image sets in Parquet, as the Hub stores them: a column of encoded images, one row an image."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tokbench.errors import DataError, ImageError
from tokbench.images.ahead import ahead
from tokbench.images.card import Item
from tokbench.images.remote import reach
from tokbench.images.storage import MAX_FILE_BYTES, Location, ids_of, too_large
from tokbench.images.truth import STRUCTURED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_WINDOW = 64
"""Images held at once. Items in the order of rows are read once; others read row groups again per window."""
_BATCH = 16
"""Rows decoded at once within a row group."""


@dataclass(frozen=True)
class ParquetReader:
    """Reads rows by row group, decoding no more than is asked for.

    Attributes:
        place: the file or folder.
        leaf: the column of encoded bytes (``image`` or ``image.bytes``).
        rows: id to ``(file, row group, row in the group)``.
    """

    place: Location
    leaf: str
    rows: Mapping[str, tuple[str, int, int]]

    def read(self, items: Sequence[Item]) -> Iterator[bytes | ImageError]:
        """Yield each item's bytes; a row without bytes is an `ImageError`."""
        stream = self._stream(items)
        yield from stream if self.place.is_local else ahead(partial(next, stream) for _ in items)

    def _stream(self, items: Sequence[Item]) -> Iterator[bytes | ImageError]:
        for start in range(0, len(items), _WINDOW):
            window = items[start : start + _WINDOW]
            wanted: dict[tuple[str, int], dict[int, str]] = {}
            for item in window:
                file, group, row = self.rows[item.id]
                wanted.setdefault((file, group), {})[row] = item.id
            found: dict[str, bytes | None] = {}
            for (file, group), ids in wanted.items():
                found |= self._rows(file, group, ids)
            for item in window:
                data = found.pop(item.id)
                yield too_large(item) or data or ImageError(f"{item.file}: the row holds no image bytes")

    def _rows(self, file: str, group: int, ids: Mapping[int, str]) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        row = 0
        with _opened(self.place, file) as parquet:
            for batch in parquet.iter_batches(_BATCH, row_groups=[group], columns=[self.leaf]):
                column = _leaf(batch.column(0))
                for at in range(len(column)):
                    if row + at in ids:
                        found[ids[row + at]] = column[at].as_py()
                row += len(column)
                if len(found) == len(ids):
                    break
        return found


def index_parquet(
    place: Location, columns: Mapping[str, str], *, sizes: bool
) -> tuple[list[Item], list[str], ParquetReader]:
    """Read ids and truth of every row.

    An image's id is the value of the id column (``columns["id"]``, or ``id`` where there is one), else its
    stored path without suffix where all rows have one and no two agree, else its row number. The other columns
    of strings, numbers and truth values become truth, but for names that mean boxes or colours in a truth.

    Args:
        place: a Parquet file, or a folder of them, taken in order of their names.
        columns: names of the ``image`` and ``id`` columns where they differ from these words.
        sizes: read the images too, for the sizes of their bytes (needed when no digest is pinned).

    Returns:
        Items in order of rows, nothing (no file is left out), and the reader.

    Raises:
        DataError: not Parquet, no image column, or an id that occurs twice.
    """
    files = [place.path]
    if place.is_folder():
        found = reach(partial(place.fs.find, place.path), place.path)
        files = sorted(path for path in found if path.endswith(".parquet"))
    rows: list[tuple[str, int, int]] = []
    lengths: list[int] = []
    table: dict[str, list[Any]] = {}
    leaf = ""
    for file in files:
        with _opened(place, file) as parquet:
            leaf, names = _schema(place, file, parquet.schema_arrow, columns)
            if rows and names.keys() != table.keys():
                raise DataError(
                    f"`{place.shown}`: {file.rpartition('/')[2]} has other columns than the files before"
                )
            for group in range(parquet.num_row_groups):
                count = parquet.metadata.row_group(group).num_rows
                if parquet.metadata.row_group(group).total_byte_size > count * MAX_FILE_BYTES:
                    raise DataError(
                        f"`{place.shown}`: {file.rpartition('/')[2]} is refused: its rows claim to be more than "
                        f"{MAX_FILE_BYTES >> 20} MiB each",
                        hint="rebuild the file",
                    )
                rows += [(file, group, row) for row in range(count)]
                content = parquet.read_row_group(group, columns=list(names.values()))
                for key, name in names.items():
                    parts = [_leaf(part) for part in content.column(name.split(".")[0]).chunks]
                    table.setdefault(key, []).extend(value for part in parts for value in part.to_pylist())
                lengths += _lengths(parquet, group, leaf) if sizes else [0] * count
    if any(len(values) != len(rows) for values in (lengths, *table.values())):
        raise DataError(
            f"`{place.shown}` is damaged: its columns are not as long as it says", hint="copy it again"
        )
    items = _items(table, lengths, columns)
    where = {item.id: row for item, row in zip(items, rows, strict=True)}
    if len(where) != len(items):
        twice = Counter(item.id for item in items).most_common(1)[0][0]
        raise DataError(
            f"`{place.shown}`: id {twice!r} occurs twice", hint="name a column of unique ids in the card"
        )
    return items, [], ParquetReader(place, leaf, where)


@contextmanager
def _opened(place: Location, file: str) -> Iterator[Any]:
    """Open a Parquet file for streaming; whatever Arrow finds wrong with it is a `DataError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with place.open(file) as raw, pq.ParquetFile(raw, buffer_size=1 << 20) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"`{place.shown}`: {file.rpartition('/')[2]} cannot be read: {error}") from error


def _schema(
    place: Location, file: str, schema: Any, columns: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Return the column of image bytes, and truth key to column; key "" is the stored path."""
    import pyarrow.types as kinds

    image = columns.get("image", "image")
    if image not in schema.names:
        raise DataError(
            f"`{place.shown}`: {file.rpartition('/')[2]} has no column `{image}`",
            hint=f"columns are {', '.join(schema.names)}; a card can name another",
        )
    if "id" in columns and columns["id"] not in schema.names:
        raise DataError(f"`{place.shown}`: {file.rpartition('/')[2]} has no column `{columns['id']}`")
    kind = schema.field(image).type
    inner = (
        {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        if kinds.is_struct(kind)
        else {}
    )
    bytes_kind = inner.get("bytes", kind)
    if not (kinds.is_binary(bytes_kind) or kinds.is_large_binary(bytes_kind)):
        raise DataError(
            f"`{place.shown}`: column `{image}` must hold bytes or a struct with `bytes`, not {kind}"
        )
    names = {"": f"{image}.path"} if "path" in inner else {}
    for field in schema:
        scalar = (
            kinds.is_boolean,
            kinds.is_integer,
            kinds.is_floating,
            kinds.is_string,
            kinds.is_large_string,
        )
        known = field.name == image or field.name in STRUCTURED
        if not known and any(check(field.type) for check in scalar):
            names[field.name] = field.name
    return (f"{image}.bytes" if inner else image), names


def _leaf(column: Any) -> Any:
    """Take the only field of a struct column that was projected to one field."""
    import pyarrow.types as kinds

    return column.field(0) if kinds.is_struct(column.type) else column


def _lengths(parquet: Any, group: int, leaf: str) -> list[int]:
    import pyarrow.compute as pc

    lengths: list[int] = []
    for batch in parquet.iter_batches(_BATCH, row_groups=[group], columns=[leaf]):
        lengths += [length or 0 for length in pc.binary_length(_leaf(batch.column(0))).to_pylist()]
    return lengths


def _items(table: dict[str, list[Any]], lengths: list[int], columns: Mapping[str, str]) -> list[Item]:
    count = len(lengths)
    paths = table.pop("", [None] * count)
    ids = table.pop(columns.get("id", "id"), None)
    if ids is not None:
        ids = [str(value) for value in ids]
    elif all(paths) and len(set(paths)) == count:
        by_path = ids_of(paths)
        ids = [by_path[path] for path in paths]
    else:
        ids = [f"{row:08d}" for row in range(count)]
    return [
        Item(
            ids[row],
            paths[row] or ids[row],
            lengths[row],
            truth={key: values[row] for key, values in table.items()},
        )
        for row in range(count)
    ]
