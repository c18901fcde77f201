"""The system calls that a results folder on disk is written with, one method each: where faults can be put in tests."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}


class Disk:
    """This machine's file system. Every method raises the `OSError` of its call."""

    def make_folder(self, path: Path) -> None:
        """Make one folder whose parent exists; one that is there already is fine."""
        path.mkdir(exist_ok=True)

    def create(self, path: Path) -> int:
        """Open a new file for writing and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of the data, and return how many bytes."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Wait until a file's content is on the medium."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, in place of a file of that name."""
        source.replace(target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; fails where there is a file of that name."""
        target.hardlink_to(source)

    def sync_folder(self, path: Path) -> None:
        """Wait until a folder's names are on the medium, where its file system can tell."""
        if os.name == "nt":  # folders cannot be opened there
            return
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise

    def remove(self, path: Path) -> None:
        """Delete a file; one that is not there is fine."""
        path.unlink(missing_ok=True)
