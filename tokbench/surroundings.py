"""Settings of the whole process: what they are before strangers' code runs, and the same again after it.

A tokenizer shares its process with other tokenizers, with metrics and with whoever called tokbench. What it sets for
all of them would be in their numbers, so it is put back. Random states are not among these settings: nothing that is
measured here draws from the global generators, and hidden draws must stay visible to whoever looks for them.
"""

from __future__ import annotations

import contextlib
import locale
import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class _Setting:
    """One setting.

    Attributes:
        name: what it is called in messages.
        read: returns its value, which `write` takes.
        write: sets it.
        quiet: libraries change it when they are imported, so a change is put back without a word.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    quiet: bool = False


@dataclass
class Changes:
    """What a block changed, known once it has ended.

    Attributes:
        said: ``name: before → after`` of each setting that no code run by tokbench has a reason to change.
    """

    said: list[str] = field(default_factory=list)


@contextmanager
def unchanged() -> Iterator[Changes]:
    """Put the settings of the process back when the block ends, however it ends.

    Settings: torch's default dtype and device, gradient mode, threads, deterministic algorithms, float32 precision,
    cuDNN flags and CPU autocast; numpy's floating-point errors; Pillow's limits; current folder, locale, handlers of
    SIGINT and SIGTERM; and without a word `sys.path`, environment variables, warning filters and standard streams.

    Yields:
        What was changed, filled in at the end.
    """
    changes = Changes()
    before = [(setting, setting.read()) for setting in _settings()]
    try:
        yield changes
    finally:
        for setting, value in before:
            after = setting.read()
            if after != value:
                setting.write(value)
                if not setting.quiet:
                    changes.said.append(f"{setting.name}: {value} → {after}")


def _settings() -> tuple[_Setting, ...]:
    """List what can be asked here: settings of modules that are not imported cannot have been changed."""
    found = list(_OF_PYTHON)
    if "torch" in sys.modules:
        found += _of_torch()
    if "numpy" in sys.modules:
        import numpy as np

        found.append(_Setting("numpy's errors", np.geterr, lambda value: np.seterr(**value)))
    for module, name in _OF_PILLOW:
        if module in sys.modules:
            found.append(_attribute(f"{module}.{name}", sys.modules[module], name))
    return tuple(found)


_OF_PILLOW = (("PIL.Image", "MAX_IMAGE_PIXELS"), ("PIL.ImageFile", "LOAD_TRUNCATED_IMAGES"))


def _of_torch() -> list[_Setting]:
    import torch

    cudnn = torch.backends.cudnn
    return [
        _Setting("default dtype", torch.get_default_dtype, torch.set_default_dtype),
        _Setting("default device", torch.get_default_device, _set_default_device),
        _Setting("gradients", torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting("threads", torch.get_num_threads, torch.set_num_threads),
        _Setting(
            "deterministic algorithms", torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode
        ),
        _Setting("precision of float32", _precision, _set_precision),
        _Setting("autocast", _autocast, _set_autocast),
        *(
            _attribute(f"cudnn.{name}", cudnn, name)
            for name in ("enabled", "benchmark", "deterministic", "allow_tf32")
        ),
    ]


def _attribute(said: str, owner: Any, name: str) -> _Setting:
    return _Setting(said, lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _set_default_device(device: Any) -> None:
    import torch

    # "cpu" stands for nothing set, which costs no look at every call as a device that is set does.
    torch.set_default_device(None if device == torch.device("cpu") else device)


def _precision() -> tuple[str | None, ...]:
    """Return the precision of float32 products by torch's older name, or None where newer names contradict it."""
    import torch

    try:
        older: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:
        older = None
    return older, *(getattr(owner, "fp32_precision", None) for owner in _owners())


def _set_precision(values: tuple[str | None, ...]) -> None:
    import torch

    if values[0] is not None:
        torch.set_float32_matmul_precision(values[0])
    for owner, value in zip(_owners(), values[1:], strict=True):
        if value is not None:
            owner.fp32_precision = value


def _owners() -> tuple[Any, ...]:
    """Return where torch 2.9 and later keep the precision of float32, and where earlier ones have nothing."""
    import torch

    backends: Any = torch.backends
    return backends, backends.cuda.matmul, backends.mkldnn, getattr(backends.mkldnn, "matmul", None)


def _autocast() -> tuple[bool, Any]:
    import torch

    return torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")


def _set_autocast(value: tuple[bool, Any]) -> None:
    import torch

    torch.set_autocast_enabled("cpu", value[0])
    torch.set_autocast_dtype("cpu", value[1])


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (Path.cwd() asks the same and then makes an object of it)
    except FileNotFoundError:  # somebody removed it: there is nowhere to go back to
        return None


def _set_folder(folder: str | None) -> None:
    if folder is not None:
        with contextlib.suppress(OSError):
            os.chdir(folder)


def _environment() -> dict[bytes, bytes]:
    # The bytes that it holds, since `os.environ` decodes every one of them when asked: 50 µs before each call.
    return dict(os.environ._data)  # type: ignore[attr-defined, unused-ignore]


def _set_environment(variables: dict[bytes, bytes]) -> None:
    for name in os.environb.keys() - variables.keys():
        del os.environb[name]
    os.environb.update(variables)


def _set_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # also makes Python forget what it remembers of the filters
    warnings.filters[:] = filters  # type: ignore[index]


def _handlers() -> tuple[Any, ...]:
    return tuple(signal.getsignal(number) for number in _SIGNALS)


def _set_handlers(handlers: tuple[Any, ...]) -> None:
    if threading.current_thread() is not threading.main_thread():  # Python allows it nowhere else
        return
    for number, handler in zip(_SIGNALS, handlers, strict=True):
        if handler is not None:  # one that was not set from Python cannot be set from it
            signal.signal(number, handler)


def _set_streams(streams: tuple[Any, Any]) -> None:
    sys.stdout, sys.stderr = streams


def _set_path(path: list[str]) -> None:
    sys.path[:] = path


_OF_PYTHON = (
    _Setting("current folder", _folder, _set_folder),
    _Setting(
        "locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
    _Setting("signal handlers", _handlers, _set_handlers),
    _Setting("sys.path", lambda: list(sys.path), _set_path, quiet=True),
    _Setting("environment variables", _environment, _set_environment, quiet=True),
    _Setting("warning filters", lambda: list(warnings.filters), _set_filters, quiet=True),
    _Setting("standard streams", lambda: (sys.stdout, sys.stderr), _set_streams, quiet=True),
)
