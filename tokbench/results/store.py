"""The results folder: a manifest, shards that exist only when they are done, and a summary that is written last.

::

    OUT/
      manifest.json                              everything needed to repeat the run; written first
      shards/<job>/00007.0123456789abcdef.npz    the states of one shard of one job, plain arrays; the name holds
                                                 the start of their SHA-256
      shards/<job>/00007.parquet                 its per-image rows, written after the states that they name: the
                                                 existence of a whole one means done
      summary.json                               written last: a summary that exists is complete
      summary.partial.json                       written instead while some tokenizer has failed

A file is there whole or not at all (`tokbench.results.folder`). Rows know their job, their shard, their own checksum
and that of their states, so what is damaged or out of place is refused and computed again. Several processes may write
into one folder, even the same shard: whoever is last leaves rows with the states that belong to them. States that no
rows name any more stay, since somebody may be about to name them.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

from tokbench.documents import parse_json
from tokbench.errors import IntegrityError
from tokbench.results.arrays import read_arrays
from tokbench.results.folder import open_folder, storage_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow as pa

    from tokbench.results.disk import Disk

MANIFEST, SUMMARY, PARTIAL = "manifest.json", "summary.json", "summary.partial.json"
_KEY, _SHARD, _ROWS, _STATES = (
    b"tokbench.key",
    b"tokbench.shard",
    b"tokbench.rows.sha256",
    b"tokbench.states.sha256",
)

States = dict[str, dict[str, "npt.NDArray[Any]"]]


class Store:
    """Reads and writes one results folder.

    Args:
        place: a folder, or any fsspec URL as a string; made when the first file is written.
        disk: replaces the system calls of a local folder, in tests.
    """

    def __init__(self, place: Path | str, disk: Disk | None = None) -> None:
        self._files = open_folder(place, disk)
        self._whole: set[tuple[str, str, int]] = set()

    @property
    def folder(self) -> Path | str:
        """The folder's path, or its URL."""
        return self._files.place

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return a JSON document of the folder, or None when it does not exist.

        Raises:
            StorageError: it exists and cannot be read.
            IntegrityError: it is not a JSON object.
        """
        shown = f"{self.folder}/{name}"
        try:
            data = self._files.read(name)
            if data is None:
                return None
            value = parse_json(data)
        except OSError as error:
            raise storage_error(shown, error) from error
        except ValueError as error:
            raise IntegrityError(f"`{shown}` is damaged: {error}", hint="use another --out") from error
        if not isinstance(value, dict):
            raise IntegrityError(f"`{shown}` is no JSON object", hint="use another --out")
        return value

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON document of the folder."""
        self._files.write(name, _json(value))

    def create_json(self, name: str, value: Mapping[str, Any]) -> bool:
        """Write a JSON document unless there is one of that name; say whether it was written."""
        return self._files.create(name, _json(value))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write another file of the folder, beside the documents."""
        self._files.write(name, data)

    def remove(self, name: str) -> None:
        """Delete a document of the folder if it is there."""
        self._files.remove(name)

    def check_writable(self) -> None:
        """Fail early, before any work is done, when the folder cannot be written; and clear up after dead processes.

        Raises:
            StorageError: it cannot be made or written to.
        """
        self._files.write(".writable", b"")
        self._files.remove(".writable")
        self.sweep()

    def sweep(self) -> None:
        """Delete what processes that are gone have left half written."""
        self._files.sweep()

    def done(self, job: str, key: str, shard: int) -> bool:
        """Say whether a shard of a job is there and whole; a damaged one counts as absent and is made again.

        What was found whole once is not looked through again by this object: reading it checks it anyway.
        """
        if (job, key, shard) not in self._whole:
            try:
                self._states(job, self._rows(job, key, shard), shard)
            except IntegrityError:
                return False
            self._whole.add((job, key, shard))
        return True

    def write_shard(self, job: str, key: str, shard: int, rows: pa.Table, states: States) -> None:
        """Write one shard: states first, then the rows whose existence says done.

        Args:
            job: job id, a folder name.
            key: the job's result key, kept in the file so that a stray shard is recognised.
            shard: shard number.
            rows: one row per image.
            states: ``{collector: {array name: array}}``.

        Raises:
            StorageError: full disk, no permission; nothing half-written stays under a final name.
        """
        import numpy as np

        buffer = io.BytesIO()
        named: dict[str, Any] = {
            f"{name}/{part}": array for name, arrays in states.items() for part, array in arrays.items()
        }
        np.savez(buffer, **named)
        self._put(job, shard, rows.replace_schema_metadata({_KEY: key}), buffer.getvalue())

    def read_rows(self, job: str, key: str, shard: int) -> pa.Table:
        """Return the rows of a shard.

        Raises:
            IntegrityError: damaged, or of another job or shard.
        """
        return self._rows(job, key, shard)

    def read_states(self, job: str, shard: int, collector: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of one state of a shard.

        Raises:
            IntegrityError: missing, damaged, or not the states that the rows were written with.
        """
        rows = self._rows(job, None, shard)
        try:
            return read_arrays(self._states(job, rows, shard), f"{collector}/")
        except ValueError as error:
            raise self._damaged(_states_name(job, shard, _mark(rows, _STATES)), str(error)) from error

    def states_name(self, job: str, shard: int) -> str:
        """Return the relative name of the file that holds the states of a shard.

        Raises:
            IntegrityError: the shard's rows are missing or damaged.
        """
        return _states_name(job, shard, _mark(self._rows(job, None, shard), _STATES))

    def copy_shard(self, source: Store, job: str, key: str, shard: int) -> None:
        """Copy a shard from another results folder after checking that it is whole and of the same job."""
        rows = source._rows(job, key, shard)
        self._put(job, shard, rows, source._states(job, rows, shard))

    def _put(self, job: str, shard: int, rows: pa.Table, states: bytes) -> None:
        import pyarrow.parquet as pq

        found = hashlib.sha256(states).hexdigest()
        marks = {_KEY: _mark(rows, _KEY), _SHARD: str(shard), _STATES: found}
        rows = rows.replace_schema_metadata(marks)
        sink = io.BytesIO()
        pq.write_table(rows.replace_schema_metadata(marks | {_ROWS: _digest(rows)}), sink, compression="zstd")
        self._files.write(_states_name(job, shard, found), states)
        self._files.write(_rows_name(job, shard), sink.getvalue())

    def _rows(self, job: str, key: str | None, shard: int) -> pa.Table:
        """Return the rows of a shard after checking that they are whole and its own.

        Args:
            job: job id.
            key: the job's result key, or None where any will do.
            shard: shard number.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = _rows_name(job, shard)
        data = self._read(name)
        try:
            table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
            content = _digest(table)
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            raise self._damaged(name, str(error)) from error
        if key is not None and _mark(table, _KEY) != key:
            raise self._damaged(name, "it belongs to another run")
        if _mark(table, _SHARD) != str(shard):
            raise self._damaged(name, "it is another shard under this one's name")
        if _mark(table, _ROWS) != content:
            raise self._damaged(name, "its checksum is not that of its content")
        return table

    def _states(self, job: str, rows: pa.Table, shard: int) -> bytes:
        """Return the states' file after checking it against the checksum kept with the rows."""
        wanted = _mark(rows, _STATES)
        name = _states_name(job, shard, wanted)
        data = self._read(name)
        if hashlib.sha256(data).hexdigest() != wanted:
            raise self._damaged(name, "its checksum is not the one in the rows' file")
        return data

    def _read(self, name: str) -> bytes:
        try:
            data = self._files.read(name)
        except OSError as error:
            raise self._damaged(name, str(error)) from error
        if data is None:
            raise self._damaged(name, "it is not there")
        return data

    def _damaged(self, name: str, reason: str) -> IntegrityError:
        return IntegrityError(
            f"shard `{self.folder}/{name}` cannot be used: {reason}",
            hint="run the same command again: it is computed anew",
        )


def differing(mine: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> Sequence[str]:
    """Name the fields in which two key documents differ, for error messages: ``protocol: 'a' here, 'b' there``."""
    found: list[str] = []
    for name in sorted({*mine, *theirs}):
        a, b = mine.get(name), theirs.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found.extend(differing(a, b, f"{prefix}{name}."))
        elif a != b:
            found.append(f"{prefix}{name}: {_short(a)} now, {_short(b)} in the folder")
    return found


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _json(value: Mapping[str, Any]) -> bytes:
    from tokbench.results.schema import to_json

    return (to_json(value, indent=1) + "\n").encode()


def _rows_name(job: str, shard: int) -> str:
    return f"shards/{job}/{shard:05d}.parquet"


def _states_name(job: str, shard: int, digest: str) -> str:
    return f"shards/{job}/{shard:05d}.{digest[:16]}.npz"


def _mark(rows: pa.Table, name: bytes) -> str:
    found: bytes = (rows.schema.metadata or {}).get(name, b"")
    return found.decode("utf-8", "replace")


def _digest(rows: pa.Table) -> str:
    """SHA-256 over names, types and values of the columns and over what the rows say of themselves."""
    import pyarrow as pa

    from tokbench.results.arrow import to_numpy

    marks = [_mark(rows, name) for name in (_KEY, _SHARD, _STATES)]
    found = hashlib.sha256(json.dumps([marks, rows.num_rows]).encode())
    for field, column in zip(rows.schema, rows.columns, strict=True):
        found.update(json.dumps([field.name, str(field.type)]).encode())
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        if number and not column.null_count:
            found.update(to_numpy(column).tobytes())
        else:
            found.update(json.dumps(column.to_pylist(), default=repr).encode())
    return found.hexdigest()
