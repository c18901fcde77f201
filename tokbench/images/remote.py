"""Objects on remote storage: read by range, tried again when the failure may pass, cached by block."""

from __future__ import annotations

import io
import sys
import time
import zipfile
import zlib
from functools import partial
from http.client import IncompleteRead
from typing import TYPE_CHECKING, Any, TypeVar

from tokbench.errors import DataError
from tokbench.images.blocks import BLOCK, object_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokbench.images.blocks import BlockCache

    T = TypeVar("T")

DELAYS = (0.5, 1.0, 2.0, 4.0)
"""Seconds waited before the second to fifth attempt; always the same, so that runs are alike."""

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers that may be another next time. 401, 403 and 404 are final."""

ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError)
"""What reading from a damaged or encrypted archive raises, for URLs such as ``zip://``."""

_KINDS = {
    "aiohttp": ("ClientConnectionError", "ClientPayloadError"),
    "botocore.exceptions": ("ConnectionError", "HTTPClientError", "IncompleteReadError"),
    "httpx": ("TransportError",),
    "requests.exceptions": ("ConnectionError", "Timeout", "ChunkedEncodingError"),
}
"""Exceptions of the storage packages' HTTP clients that mean a broken or slow connection."""


class ShortReadError(OSError):
    """A storage sent fewer bytes than asked for."""


def reach(call: Callable[[], T], what: str) -> T:
    """Call a storage, again after each of `DELAYS` when the failure is transient.

    Args:
        call: the request.
        what: what it asks for, for the error.

    Raises:
        DataError: it failed transiently to the end.
        OSError: it failed for good (absent, forbidden).
    """
    for delay in (*DELAYS, None):
        try:
            return call()
        except Exception as error:
            # Every storage package has an exception tree of its own; what is not a storage's answer goes on up.
            if not is_transient(error):
                known = _status_of(error) is not None or isinstance(error, ARCHIVE_ERRORS)
                if isinstance(error, OSError) or not known:
                    raise
                raise OSError(str(error)) from error
            if delay is None:
                raise DataError(
                    f"`{what}` cannot be reached, tried {len(DELAYS) + 1} times: {error or type(error).__name__}",
                    hint="run the same command again later: what was read and computed is kept",
                ) from error
            time.sleep(delay)
    raise AssertionError(what)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later.

    The outermost exception of a chain that says anything decides: a broken body is one whatever its cause is called.
    """
    kinds = (ConnectionError, TimeoutError, IncompleteRead, ShortReadError, *_client_kinds())
    for each in _causes(error):
        status = _status_of(each)
        if status is not None:
            return status in TRANSIENT_STATUS
        if isinstance(each, kinds):
            return True
    return False


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status of the answer that an exception stands for."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # botocore
        found = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:  # aiohttp; gcsfs; requests and httpx
        found = getattr(error, "status", None) or getattr(error, "code", None)
        found = found or getattr(answer, "status_code", None)
    return found if isinstance(found, int) and 400 <= found < 600 else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _client_kinds() -> Iterator[type[BaseException]]:
    """Yield the kinds of `_KINDS` whose package took part; an exception of one not imported cannot have been raised."""
    for module, names in _KINDS.items():
        if module in sys.modules:
            yield from (getattr(sys.modules[module], name) for name in names)


class RemoteFile(io.RawIOBase):
    """A remote object as a seekable file; holds one block in memory.

    Args:
        fs: its fsspec file system.
        path: its path there.
        cache: where blocks are kept, or None.

    Raises:
        OSError: it is absent or forbidden, or its size is not known.
        DataError: the storage cannot be reached.
    """

    def __init__(self, fs: Any, path: str, cache: BlockCache | None) -> None:
        super().__init__()
        self._fs, self._path, self._at = fs, path, 0
        info = reach(partial(fs.info, path), path)
        if info.get("size") is None:
            raise OSError(f"{path}: the server does not tell its size")
        self.size = int(info["size"])
        endpoint = getattr(fs, "endpoint_url", None) or ""  # the same bucket name may be on another server
        self._key = object_key(f"{endpoint}{fs.unstrip_protocol(path)}", info)
        self._cache = cache if self._key else None
        self._held: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the new position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the block at the position; returns the bytes written, 0 at the end."""
        if self._at >= self.size:
            return 0
        number, offset = divmod(self._at, BLOCK)
        part = memoryview(self._block(number))[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def readall(self) -> bytes:
        """Return everything from the position on."""
        parts = []
        while self._at < self.size:
            number, offset = divmod(self._at, BLOCK)
            parts.append(self._block(number)[offset:])
            self._at += len(parts[-1])
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if self._held[0] != number:
            size = min(BLOCK, self.size - number * BLOCK)
            data = self._cache.get(self._key, number, size) if self._cache else None
            if data is None:
                data = reach(partial(self._fetch, number * BLOCK, size), self._path)
                if self._cache:
                    self._cache.put(self._key, number, data)
            self._held = (number, data)
        return self._held[1]

    def _fetch(self, start: int, size: int) -> bytes:
        data: bytes = self._fs.cat_file(self._path, start=start, end=start + size)
        if len(data) > size:
            raise OSError(f"{self._path}: the server sent {len(data)} bytes where {size} were asked for")
        if len(data) < size:
            raise ShortReadError(f"{self._path}: ends after {start + len(data)} of {self.size} bytes")
        return data
