"""Where results lie: a folder on disk, or any place that fsspec reaches.

Both promise that a file is there whole or not at all. On disk it is written under a temporary name, flushed, renamed,
and the folder flushed; an object store takes an object whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tokbench.errors import DataError, MissingPackageError, StorageError, UsageError
from tokbench.results.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_RENAME = {errno.EXDEV, errno.ENOTSUP, errno.ENOSYS, errno.EPERM}
_NO_LINK = {*_NO_RENAME, errno.EMLINK, errno.EACCES}
_FLAT = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"})
"""Storages without folders: nothing has to be made before an object is put, least of all a bucket."""


class Folder(Protocol):
    """A place for files, by relative POSIX names."""

    @property
    def place(self) -> Path | str:
        """Its path, or its URL."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return a file, or None when there is none.

        Raises:
            OSError: it is there and cannot be read.
            StorageError: the storage cannot be reached.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all; when this returns, it lasts.

        Raises:
            StorageError: full disk, no permission, storage out of reach.
        """
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one of that name; say whether it was written.

        Raises:
            StorageError: as for `write`.
        """
        ...

    def remove(self, name: str) -> None:
        """Delete a file if it is there.

        Raises:
            StorageError: it cannot be deleted.
        """
        ...

    def sweep(self) -> None:
        """Delete what processes that are gone have left half written."""
        ...


def open_folder(place: Path | str, disk: Disk | None = None) -> Folder:
    """Return the folder of a path or of an fsspec URL; nothing is made or looked at.

    Raises:
        MissingPackageError: the URL's scheme needs a package that is not installed.
        UsageError: there is no such scheme.
    """
    if isinstance(place, Path) or ("://" not in place and "::" not in place):
        return LocalFolder(Path(place), disk or Disk())
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        fs, path = url_to_fs(place)
    except ImportError as error:
        raise MissingPackageError(
            f"`{place}` cannot be opened: {error}", hint="install that package, or give a local folder"
        ) from error
    except ValueError as error:
        raise UsageError(f"`{place}` is no place for results: {error}") from error
    if "file" in _protocols(fs):
        return LocalFolder(Path(path), disk or Disk())
    return RemoteFolder(fs, path.rstrip("/"), place.rstrip("/"))


class LocalFolder:
    """A folder on disk; made when its first file is written.

    Args:
        place: its path.
        disk: the system calls.
    """

    def __init__(self, place: Path, disk: Disk) -> None:
        self.place = place
        self._disk = disk

    def read(self, name: str) -> bytes | None:
        """Return a file, or None when there is none."""
        try:
            return (self.place / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file under a temporary name, flush it, rename it, and flush the folder."""
        self._put(self.place / name, data, self._rename)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file as `write` does, but never over another one."""
        return self._put(self.place / name, data, self._link)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        try:
            self._disk.remove(self.place / name)
        except OSError as error:
            raise storage_error(self.place / name, error) from error

    def sweep(self) -> None:
        """Delete temporary files of processes of this machine that have ended; those of others are not judged."""
        for path in [*self.place.glob(".*.tmp"), *self.place.glob("shards/*/.*.tmp")]:
            found = re.search(r"\.([0-9a-f]{8})-(\d{1,9})-[0-9a-f]+\.tmp$", path.name)
            if found and found[1] == self._machine and not _alive(int(found[2])):
                self._disk.remove(path)

    @cached_property
    def _machine(self) -> str:
        """Eight hex digits of this machine, or of the container on it: a process id means nothing elsewhere."""
        try:
            space = str(Path("/proc/self/ns/pid").readlink())
        except OSError:
            space = ""
        return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]

    def _put(self, path: Path, data: bytes, name_it: Callable[[Path, Path], bool]) -> bool:
        own = f"{self._machine}-{os.getpid()}-{secrets.token_hex(4)}"
        temporary = path.with_name(f".{path.name}.{own}.tmp")
        try:
            self._make(path.parent)
            try:
                self._fill(temporary, data)
                written = name_it(temporary, path)
            finally:
                with contextlib.suppress(OSError):  # what went wrong before says more than this would
                    temporary.unlink(missing_ok=True)
            self._disk.sync_folder(path.parent)
        except OSError as error:
            raise storage_error(path, error) from error
        return written

    def _fill(self, path: Path, data: bytes) -> None:
        descriptor = self._disk.create(path)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._disk.write(descriptor, rest) :]
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)

    def _make(self, path: Path) -> None:
        """Make a folder and its parents; each new name lasts only when its parent has been flushed."""
        if path.is_dir():
            return
        self._make(path.parent)
        self._disk.make_folder(path)
        self._disk.sync_folder(path.parent)

    def _rename(self, temporary: Path, path: Path) -> bool:
        try:
            self._disk.rename(temporary, path)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
            raise StorageError(
                f"`{path}` cannot get its name: {error.strerror}; results need a file system that renames files",
                hint="give a folder on a local disk with --out, or the URL of the object store itself (s3://, gs://)",
            ) from error
        return True

    def _link(self, temporary: Path, path: Path) -> bool:
        """Name a file that must not be there yet; where links are unknown, two in the same moment may both succeed."""
        try:
            self._disk.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return not path.exists() and self._rename(temporary, path)
        return True


class RemoteFolder:
    """A prefix on a remote storage. Requests that fail for a moment are tried again.

    Args:
        fs: its fsspec file system.
        path: the prefix in the storage's own spelling.
        url: what the user wrote.
    """

    def __init__(self, fs: Any, path: str, url: str) -> None:
        self._fs, self._path, self.place = fs, path, url

    def read(self, name: str) -> bytes | None:
        """Return an object, or None when there is none."""
        try:
            data: bytes = self._reach(partial(self._fs.cat_file, f"{self._path}/{name}"), name)
        except FileNotFoundError:
            return None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Put an object; storages with folders get the folder first."""
        path = f"{self._path}/{name}"
        try:
            if not _FLAT.intersection(_protocols(self._fs)):
                self._reach(partial(self._fs.makedirs, path.rpartition("/")[0], exist_ok=True), name)
            self._reach(partial(self._fs.pipe_file, path, data), name)
        except OSError as error:
            raise storage_error(f"{self.place}/{name}", error) from error

    def create(self, name: str, data: bytes) -> bool:
        """Put an object unless one is there; two that do so in the same moment may both succeed."""
        if self.read(name) is not None:
            return False
        self.write(name, data)
        return True

    def remove(self, name: str) -> None:
        """Delete an object if it is there."""
        try:
            self._reach(partial(self._fs.rm_file, f"{self._path}/{name}"), name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(f"{self.place}/{name}", error) from error

    def sweep(self) -> None:
        """Do nothing: an object that is not whole is not there."""

    def _reach(self, call: Callable[[], Any], name: str) -> Any:
        from tokbench.images.remote import reach

        try:
            return reach(call, f"{self.place}/{name}")
        except DataError as error:
            raise StorageError(error.message, hint=error.hint) from error


def storage_error(path: Path | str, error: Exception) -> StorageError:
    """Say in words what a file of results met with."""
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(
            f"no space left to write `{path}`",
            hint="free some space and run the same command again: finished shards are kept and not repeated",
        )
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return StorageError(
        f"`{path}` cannot be written or read: {reason}",
        hint="give a folder you may write to with --out, then run the same command again",
    )


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _alive(process: int) -> bool:
    if os.name == "nt":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is there, and somebody else's
    return True
