"""The results folder: a manifest, shards that exist only when they are done, and a summary that is written last.

::

    OUT/
      manifest.json                     everything needed to repeat the run; written first
      shards/<job>/00007.parquet        per-image rows of one shard of one job; its existence means done
      shards/<job>/00007.npz            its states, plain arrays; written before the rows, hash kept in the rows' file
      summary.json                      written last: a summary that exists is complete
      summary.partial.json              written instead while some tokenizer has failed

Every file is written under a temporary name in the same folder, flushed to disk, and renamed.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow as pa

MANIFEST, SUMMARY, PARTIAL = "manifest.json", "summary.json", "summary.partial.json"
_HASH = b"tokbench.states.sha256"
_KEY = b"tokbench.key"

States = dict[str, dict[str, "npt.NDArray[Any]"]]


class Store:
    """Reads and writes one results folder.

    Args:
        folder: the results folder; made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return a JSON document of the folder, or None when it does not exist.

        Raises:
            StorageError: it exists and cannot be read.
            IntegrityError: it is not a JSON object.
        """
        try:
            text = (self.folder / name).read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _storage_error(self.folder / name, error) from error
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise IntegrityError(
                f"`{self.folder / name}` is damaged: {error}", hint="use another --out"
            ) from error
        if not isinstance(value, dict):
            raise IntegrityError(f"`{self.folder / name}` is no JSON object", hint="use another --out")
        return value

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON document of the folder."""
        from tokbench.results.schema import to_json

        self._write(self.folder / name, (to_json(value, indent=1) + "\n").encode())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write another file of the folder, beside the documents."""
        self._write(self.folder / name, data)

    def remove(self, name: str) -> None:
        """Delete a document of the folder if it is there."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _storage_error(self.folder / name, error) from error

    def check_writable(self) -> None:
        """Fail early, before any work is done, when the folder cannot be written.

        Raises:
            StorageError: it cannot be made or written to.
        """
        self._write(self.folder / ".writable", b"")
        self.remove(".writable")

    def done(self, job: str, key: str, shard: int) -> bool:
        """Say whether a shard of a job is there and whole; a damaged one counts as absent and is made again."""
        if not self._rows_path(job, shard).is_file():
            return False
        try:
            self.read_rows(job, key, shard)
            self._state_bytes(job, shard)
        except IntegrityError:
            return False
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
        import pyarrow.parquet as pq

        buffer = io.BytesIO()
        named: dict[str, Any] = {
            f"{name}/{part}": array for name, arrays in states.items() for part, array in arrays.items()
        }
        np.savez(buffer, **named)
        data = buffer.getvalue()
        rows = rows.replace_schema_metadata({_HASH: hashlib.sha256(data).hexdigest(), _KEY: key})
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd")
        path = self._rows_path(job, shard)
        self._write(path.with_suffix(".npz"), data)
        self._write(path, sink.getvalue())

    def read_rows(self, job: str, key: str, shard: int) -> pa.Table:
        """Return the rows of a shard.

        Raises:
            IntegrityError: damaged, or of another job.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._rows_path(job, shard)
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, str(error)) from error
        if (table.schema.metadata or {}).get(_KEY) != key.encode():
            raise _damaged(path, "it belongs to another run")
        return table

    def read_states(self, job: str, shard: int, collector: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of one state of a shard.

        Raises:
            IntegrityError: missing, damaged, or not the states that the rows were written with.
        """
        import numpy as np

        with np.load(io.BytesIO(self._state_bytes(job, shard)), allow_pickle=False) as arrays:
            return {
                name.rpartition("/")[2]: arrays[name]
                for name in arrays.files
                if name.rpartition("/")[0] == collector
            }

    def _state_bytes(self, job: str, shard: int) -> bytes:
        """Return the states' file after checking it against the hash kept with the rows."""
        import pyarrow.parquet as pq

        path = self._rows_path(job, shard)
        try:
            data = path.with_suffix(".npz").read_bytes()
            wanted = (pq.read_schema(path).metadata or {}).get(_HASH, b"").decode()
        except OSError as error:
            raise _damaged(path.with_suffix(".npz"), str(error)) from error
        if hashlib.sha256(data).hexdigest() != wanted:
            raise _damaged(path.with_suffix(".npz"), "its hash is not the one in the rows' file")
        return data

    def copy_shard(self, source: Store, job: str, key: str, shard: int) -> None:
        """Copy a shard from another results folder after checking that it is whole and of the same job."""
        source.read_rows(job, key, shard)
        path = self._rows_path(job, shard)
        self._write(path.with_suffix(".npz"), source._state_bytes(job, shard))
        self._write(path, source._rows_path(job, shard).read_bytes())

    def _rows_path(self, job: str, shard: int) -> Path:
        return self.folder / "shards" / job / f"{shard:05d}.parquet"

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            if temporary.parent.is_dir():
                temporary.unlink(missing_ok=True)
            raise _storage_error(path, error) from error


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


def _storage_error(path: Path, error: Exception) -> StorageError:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(
            f"no space left to write `{path}`",
            hint="free some space and run the same command again: finished shards are kept and not repeated",
        )
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return StorageError(
        f"`{path}` cannot be written or read: {reason}",
        hint="give a folder you may write to with --out, then run the same command again",
    )


def _damaged(path: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"shard `{path}` cannot be used: {reason}", hint="delete that file and run the same command again"
    )
