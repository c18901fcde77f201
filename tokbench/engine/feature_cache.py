"""What networks said about originals, kept on disk by content: the next tokenizer, run or process need not ask again.

::

    FOLDER/
      inception-0f3c…/                  an evaluator under one identity: weights, code, packages, torch, processor
        8a41….safetensors               the rows of one shard's originals, named after their contents

A row is found by what the network saw, never by a file name or a position, so a cache can be stale in no way: anything
else that decides the bits is part of the identity, and other identities live in other folders.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import sys
import uuid
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokbench.networks.base import Features
from tokbench.weights import cache_dir

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from tokbench.networks.base import Evaluator

    Row = dict[str, Tensor]

SWITCH = "TOKBENCH_FEATURES"
_FORMAT = 1
_VECTORS = ("pooled", "spatial", "logits")


def default_folder() -> Path | None:
    """Return ``features`` in tokbench's cache folder, or None when ``$TOKBENCH_FEATURES`` is ``off``."""
    return None if os.environ.get(SWITCH) == "off" else cache_dir() / "features"


def content(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return the SHA-256 of an image as networks see it: its shape and its pixels after the protocol, 32 bytes."""
    import numpy as np

    mark = hashlib.sha256(f"{pixels.dtype}{pixels.shape}".encode())
    mark.update(np.ascontiguousarray(pixels).data)
    return mark.digest()


def identify(evaluator: Evaluator, weights: Mapping[str, str], device: torch.device) -> dict[str, Any]:
    """Return everything beside the pixels that decides the bits of a network's answer.

    Args:
        evaluator: the network.
        weights: ``{weights name: SHA-256 of the file}``, as `tokbench.loading.fingerprint` gives it.
        device: where it runs. On another kind of processor the same network rounds differently.
    """
    import torch

    if device.type == "cpu":
        processor = [torch.backends.cpu.get_cpu_capability(), _processor()]
    else:
        processor = [torch.get_device_module(device).get_device_name(device)]
    if device.type == "cuda":
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call, unused-ignore]
        processor += [f"cudnn={cudnn}", f"tf32={torch.backends.cudnn.allow_tf32}"]
    return {
        "evaluator": evaluator.name,
        "weights": dict(weights),
        "code": _code(evaluator),
        "packages": {name: _version(name) for name in evaluator.packages},
        "torch": torch.__version__,
        "precision": torch.get_float32_matmul_precision(),
        "device": [device.type, *processor],
    }


class FeatureCache:
    """The rows of one evaluator, a shard at a time.

    Vectors are kept bit for bit, 16 KB an image for Inception. Features that carry maps are not kept: those of LPIPS
    would take megabytes an image, more time to read than to compute. The cache never breaks a run: what cannot be read
    is absent, and after a failure to write nothing more is written. Any file or folder of it may be deleted at any
    time. `get` and `put` may be called from several threads between one `load` and its `save`.

    Attributes:
        trouble: why nothing is saved any more (full disk, no permission), or "".

    Args:
        folder: of all evaluators; made when the first file is written.
        identity: see `identify`; holds at least the key ``evaluator``.
        device: where `get` puts tensors; the CPU by default.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], device: torch.device | None = None) -> None:
        self.trouble = ""
        self._identity = json.dumps(identity, sort_keys=True)
        name = "".join(
            letter if letter.isalnum() or letter in "-_" else "-" for letter in identity["evaluator"]
        )
        self._folder = folder / f"{name}-{hashlib.sha256(self._identity.encode()).hexdigest()[:16]}"
        self._device = device
        self._asked: tuple[bytes, ...] = ()
        self._rows: dict[bytes, Row] = {}
        self._saved = 0

    def load(self, contents: Sequence[bytes]) -> None:
        """Turn to a shard: read what is known of its images and forget those of the shard before.

        Args:
            contents: `content` of each image, in plan order.
        """
        self._asked = tuple(dict.fromkeys(contents))
        self._rows = _read(self._path, self._identity, self._asked) if self._asked else {}
        self._saved = len(self._rows)

    def get(self, contents: Sequence[bytes]) -> Features | None:
        """Return the features of images of the shard, or None unless those of all of them are known."""
        import torch

        rows = [self._rows[each] for each in contents if each in self._rows]
        if len(rows) < len(contents) or len({_layout(row) for row in rows}) != 1:
            return None
        vectors = {name: torch.stack([row[name] for row in rows]).to(self._device) for name in rows[0]}
        return Features(
            pooled=vectors.get("pooled"), spatial=vectors.get("spatial"), logits=vectors.get("logits")
        )

    def put(self, contents: Sequence[bytes], features: Features) -> None:
        """Remember the features of images of the shard; those with maps are left alone.

        Raises:
            ValueError: there are not as many features as images.
        """
        vectors = {name: vector for name in _VECTORS if (vector := getattr(features, name)) is not None}
        if features.maps or not vectors:
            return
        if any(len(vector) != len(contents) for vector in vectors.values()):
            raise ValueError(
                f"features of {len(next(iter(vectors.values())))} images for {len(contents)} contents"
            )
        kept = {name: vector.detach().cpu() for name, vector in vectors.items()}
        self._rows.update(
            (each, {name: vector[place] for name, vector in kept.items()})
            for place, each in enumerate(contents)
        )

    def save(self) -> None:
        """Write the shard if more of it is known than there was on disk; see `trouble`."""
        known = {each: self._rows[each] for each in self._asked if each in self._rows}
        if self.trouble or len(known) <= self._saved:
            return
        try:
            _write(self._path, self._identity, known)
        except OSError as error:
            self.trouble = f"{self._folder}: {error.strerror or error}"
        else:
            self._saved = len(known)

    @property
    def _path(self) -> Path:
        return self._folder / f"{hashlib.sha256(b''.join(self._asked)).hexdigest()}.safetensors"


def _read(path: Path, identity: str, asked: Sequence[bytes]) -> dict[bytes, Row]:
    """Return the rows of a file; none at all when it is absent, damaged, of another shard or of another identity."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    # Read once: opening by name may map another file than the one whose header was read, if a writer comes between.
    try:
        data = path.read_bytes()
        tensors = load(data)
    except (OSError, SafetensorError):
        return {}
    label = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__")
    if label != _label(identity, tensors):
        return {}
    names = [row.numpy().tobytes() for row in tensors.pop("contents")]
    if not set(names) <= set(asked):
        return {}
    return {
        each: {name: tensor[place] for name, tensor in tensors.items()} for place, each in enumerate(names)
    }


def _write(path: Path, identity: str, rows: Mapping[bytes, Row]) -> None:
    import torch
    from safetensors.torch import save

    # A network may answer otherwise to images of another size; a file holds rows of one kind.
    kind = _layout(next(iter(rows.values())))
    rows = {each: row for each, row in rows.items() if _layout(row) == kind}
    names = torch.frombuffer(bytearray(b"".join(rows)), dtype=torch.uint8).reshape(len(rows), -1)
    tensors = {name: torch.stack([row[name] for row in rows.values()]) for name, *_ in kind} | {
        "contents": names
    }
    data = save(tensors, _label(identity, tensors))
    # Two processes may write the same shard: each writes a whole file, and either will do.
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)
        raise


def _layout(row: Row) -> tuple[tuple[str, torch.dtype, torch.Size], ...]:
    return tuple((name, vector.dtype, vector.shape) for name, vector in sorted(row.items()))


def _label(identity: str, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Say whose tensors these are, with a checksum over both."""
    import torch

    mark = hashlib.sha256(f"{_FORMAT} {identity}".encode())
    for name, tensor in sorted(tensors.items()):
        mark.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        mark.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return {"identity": identity, "sha256": mark.hexdigest()}


@cache
def _processor() -> str:
    """Name the processor: convolution libraries choose their blocking by its caches and its maker."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return f"{platform.machine()} {platform.processor()}"


def _version(package: str) -> str:
    """Return the version of the distribution that brings an importable package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        # The distribution has another name. The list of all is slow to make, and only then needed.
        names = metadata.packages_distributions().get(package, [])
        return " ".join(f"{name} {metadata.version(name)}" for name in sorted(set(names)))


def _code(evaluator: Evaluator) -> str:
    """Hash the networks of tokbench, and with a plugin's evaluator the package or file that it comes from."""
    load = evaluator.load.func if isinstance(evaluator.load, partial) else evaluator.load
    source = Path(inspect.getfile(load))
    top = sys.modules[load.__module__.partition(".")[0]]
    ours = Path(__file__).parents[1]
    folders = [ours / "networks"]
    if "." in load.__module__ and top.__file__ and not source.is_relative_to(folders[0]):
        folders.append(Path(top.__file__).parent)
    files = {path for folder in folders for path in folder.rglob("*.py")}
    mark = hashlib.sha256()
    for path in sorted({*files, ours / "weights.py", source}):
        mark.update(hashlib.sha256(path.read_bytes()).digest())
    return mark.hexdigest()
