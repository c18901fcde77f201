"""The cache of remote images: fixed blocks of objects on this machine's disk.

::

    CACHE/images/<key>/<number>     SHA-256 of the block, then the block

The key is made of the object's address and of what its storage says identifies its content (tag, size, time), so a
changed object has other blocks, and the old ones fall out in time. A block appears under its name when it is whole,
so a run that was cut off goes on from the blocks it had.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokbench.errors import UsageError
from tokbench.weights import cache_dir

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

BLOCK = 4 << 20
"""Bytes of a block; the last of an object is shorter."""

_DEFAULT_GB = 16.0
_VARIABLE = "TOKBENCH_IMAGE_CACHE_GB"
_HASH_BYTES = 32
_TAGS = ("ETag", "etag", "blob_id", "generation", "md5Hash", "crc32c", "Content-MD5", "Digest", "VersionId")
_TIMES = ("LastModified", "Last-Modified", "last_modified", "updated", "mtime")


@dataclass
class BlockCache:
    """Blocks on disk, at most so many bytes; those not read for longest go first.

    A cache that cannot be written (full disk, no permission) costs speed and never the run.

    Attributes:
        folder: where they lie.
        limit: bytes they may take; writers of several processes may exceed it by an eighth each for a moment.
    """

    folder: Path
    limit: int
    _unseen: int = field(default=0, compare=False)

    def get(self, key: str, number: int, size: int) -> bytes | None:
        """Return a block of `size` bytes, or None when it is absent or damaged."""
        path = self.folder / key / str(number)
        try:
            stored = path.read_bytes()
        except OSError:
            return None
        mark, data = stored[:_HASH_BYTES], stored[_HASH_BYTES:]
        if len(data) != size or hashlib.sha256(data).digest() != mark:
            return None
        with contextlib.suppress(OSError):  # evicted meanwhile, or not ours to touch
            os.utime(path)
        return data

    def put(self, key: str, number: int, data: bytes) -> None:
        """Store a block under a temporary name, then rename it; makes room first."""
        needed = len(data) + _HASH_BYTES
        if needed > self.limit:
            return
        self._make_room(needed)
        path = self.folder / key / str(number)
        temporary = path.with_name(f".{number}.{os.getpid()}.{threading.get_ident()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(hashlib.sha256(data).digest() + data)
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _make_room(self, needed: int) -> None:
        """Delete the blocks that were read longest ago until `needed` bytes fit.

        The disk is looked at again only when an eighth of what was free then has been written.
        """
        if needed <= self._unseen:
            self._unseen -= needed
            return
        files = []
        for path in self.folder.glob("*/*"):  # temporary files of dead processes fall out like blocks
            with contextlib.suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in files)
        if total + needed > self.limit:
            for _, size, path in sorted(files):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                    total -= size
                    path.parent.rmdir()  # refused while other blocks of the object are there
                if total + needed <= self.limit * 0.9:
                    break
        self._unseen = max(0, (self.limit - total - needed) // 8)


def open_cache() -> BlockCache | None:
    """Return the cache, bounded by ``TOKBENCH_IMAGE_CACHE_GB`` (16 when unset; 0 turns it off and gives None).

    Raises:
        UsageError: the variable is not a number of gigabytes.
    """
    text = os.environ.get(_VARIABLE, "").strip()
    try:
        limit = int(float(text or _DEFAULT_GB) * 1e9)
    except (ValueError, OverflowError):
        limit = -1
    if limit < 0:
        raise UsageError(
            f"{_VARIABLE} is `{text}`, not a number of gigabytes", hint="set it to 16, or to 0 for no cache"
        )
    return BlockCache(cache_dir() / "images", limit) if limit else None


def object_key(address: str, info: Mapping[str, Any]) -> str:
    """Return the key of an object's blocks: hex SHA-256 over its address, size, tags and times.

    Args:
        address: its URL.
        info: what its storage says of it, in fsspec's words.

    Returns:
        The key, or "" when the storage states neither a tag nor a time: then a change could not be noticed.
    """
    found = [f"{name}={info[name]}" for name in (*_TAGS, *_TIMES) if info.get(name)]
    if not found:
        return ""
    text = "\0".join([address, str(info.get("size")), *found])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
