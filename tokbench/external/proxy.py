"""A tokenizer in a worker process, as the rest of tokbench sees it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tokbench import errors
from tokbench.errors import AdapterError, ContractError, MissingPackageError, TokbenchError, WorkerError
from tokbench.external.frames import Frame, Part
from tokbench.external.process import Worker
from tokbench.external.tensors import (
    codes_from,
    codes_to_parts,
    on_device,
    random_parts,
    set_random,
    to_part,
    to_tensor,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from tokbench.tokenizer import Codes, TokenSpec


@dataclass(frozen=True)
class Place:
    """Everything that a worker is started with.

    Attributes:
        adapter: the adapter file.
        python: the interpreter of its environment.
        source: the checkout, or None.
        weights: ``{name: path}``.
        device: where the tokenizer runs.
        dtype: type of its weights.
        startup_seconds: how long building may take.
        call_seconds: how long a call may take.
    """

    adapter: Path
    python: Path
    source: Path | None
    weights: Mapping[str, Path]
    device: torch.device
    dtype: torch.dtype
    startup_seconds: float
    call_seconds: float


class ExternalTokenizer:
    """Hands every call to a worker. One that died is replaced when the next call comes.

    Attributes:
        spec: from the header.
        stored_numbers: how many floating-point numbers the tokenizer holds, over there.
    """

    def __init__(self, spec: TokenSpec, place: Place, worker: Worker, stored_numbers: int) -> None:
        self.spec = spec
        self.stored_numbers = stored_numbers
        self._place = place
        self._worker: Worker | None = worker

    def encode(self, images: Tensor) -> Codes:
        """See `Tokenizer.encode`."""
        return self._codes(self._call("encode", [to_part("images", images)]))

    def decode(self, codes: Codes) -> Tensor:
        """See `Tokenizer.decode`."""
        return self._tensor(self._call("decode", codes_to_parts(codes)), "images")

    def _call(self, call: str, parts: Sequence[Part] = (), **more: Any) -> Frame:
        """Make one call over there, with this process's random state, which moves on as if it were made here."""
        if self._worker is None:
            self._worker, _ = _open(self.spec, self._place)
        head = {"call": call, "threads": torch.get_num_threads(), **more}
        asked = Frame(head, (*parts, *random_parts(self._place.device)))
        try:
            answer = self._worker.ask(asked, self._place.call_seconds)
        except BaseException:
            self._worker = None
            raise
        _raise_failure(answer, call, self.spec, self._place)
        set_random(answer, self._place.device)
        return answer

    def _codes(self, answer: Frame) -> Codes:
        return on_device(codes_from(answer), self._place.device)

    def _tensor(self, answer: Frame, name: str) -> Tensor:
        return to_tensor(answer.part(name)).to(self._place.device)


class _Codebook(ExternalTokenizer):
    def codebook(self) -> Tensor:
        """See `HasCodebook`."""
        return self._tensor(self._call("codebook"), "codebook")


class _EncoderFeatures(ExternalTokenizer):
    def encoder_features(self, images: Tensor) -> Tensor:
        """See `HasEncoderFeatures`."""
        return self._tensor(self._call("encoder_features", [to_part("images", images)]), "features")


class _VariableLength(ExternalTokenizer):
    def lengths(self) -> tuple[int, ...]:
        """See `VariableLength`."""
        return tuple(self._call("lengths").head["lengths"])

    def truncate(self, codes: Codes, length: int) -> Codes:
        """See `VariableLength`."""
        return self._codes(self._call("truncate", codes_to_parts(codes), length=length))


_CAPABLE: Mapping[str, type[ExternalTokenizer]] = {
    "codebook": _Codebook,
    "encoder-features": _EncoderFeatures,
    "variable-length": _VariableLength,
}


def start(spec: TokenSpec, place: Place) -> ExternalTokenizer:
    """Start a worker and build a tokenizer in it.

    Returns:
        A tokenizer with exactly the capabilities that the worker's has, since tasks look for methods.

    Raises:
        AdapterError: importing or building raised, or the worker died, hung or sent garbage meanwhile.
        MissingPackageError: its environment lacks a package.
        ContractError: what `build` returned is not a tokenizer.
    """
    worker, built = _open(spec, place)
    kinds = tuple(_CAPABLE[name] for name in built["capabilities"]) or (ExternalTokenizer,)
    kind: type[ExternalTokenizer] = type("ExternalTokenizer", kinds, {})
    return kind(spec, place, worker, built["parameters"])


def _open(spec: TokenSpec, place: Place) -> tuple[Worker, dict[str, Any]]:
    # A package of its own has no checkout to start in; what it writes to its folder belongs nowhere.
    worker = Worker(spec.name, place.python, place.source or Path(tempfile.gettempdir()))
    head = {
        "call": "build",
        "adapter": str(place.adapter),
        "source": str(place.source or ""),
        "spec": asdict(spec),
        "weights": {name: str(path.resolve()) for name, path in place.weights.items()},
        "device": str(place.device),
        "dtype": str(place.dtype).rpartition(".")[2],
        "threads": torch.get_num_threads(),
    }
    try:
        answer = worker.ask(Frame(head), place.startup_seconds)
        _raise_failure(answer, "build", spec, place)
        if not answer.head["complete"]:
            raise ContractError(
                f"tokenizer `{spec.name}`: build() returned {answer.head['type']}, "
                "wanted an object with `encode` and `decode`",
                hint="tokbench.Tokenizer is the contract",
            )
    except WorkerError as error:
        # One that cannot even start is not tried again with every shard.
        raise AdapterError(error.message, hint=f"`tokbench check {spec.name}` shows it again") from error
    except BaseException:
        worker.stop()
        raise
    return worker, answer.head


def _raise_failure(answer: Frame, call: str, spec: TokenSpec, place: Place) -> None:
    """Raise here what was raised over there; its traceback comes along as a note, but for a full device."""
    failure = answer.head.get("error")
    if failure is None:
        return
    if failure["type"] == "OutOfMemoryError" and call != "build":
        raise torch.OutOfMemoryError(failure["message"])  # the loop answers to it with fewer images
    error: TokbenchError
    kind = getattr(errors, failure["type"], None)
    if isinstance(kind, type) and issubclass(kind, TokbenchError):
        error = kind(f"tokenizer `{spec.name}`: {failure['message']}", hint=failure["hint"])
    elif failure["module"]:
        error = MissingPackageError(
            f"tokenizer `{spec.name}` needs the package `{failure['module']}`",
            hint=f"name it in the dependencies of {place.adapter.name}, then `tokbench fetch {spec.name}`",
        )
    else:
        error = AdapterError(
            f"tokenizer `{spec.name}`: {call}() raised {failure['type']}: {failure['message']}",
            hint=f"`tokbench check {spec.name}` shows the traceback",
        )
    error.add_note(failure["trace"])
    raise error
