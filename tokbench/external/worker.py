"""The worker's side: builds one tokenizer in its own environment and answers calls until tokbench goes away.

Started as a script: ``python worker.py PACKAGE INCOMING OUTGOING``. It loads the tokbench package from PACKAGE by its
path, so that nothing else of tokbench's environment comes with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import random
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from tokbench.external.frames import Channel, Frame, Part

_TRACE_CHARACTERS = 20_000


class Server:
    """Builds a tokenizer and calls it, as frames ask for."""

    def __init__(self) -> None:
        self._tokenizer: Any = None
        self._device: Any = None

    def answer(self, asked: Frame) -> Frame:
        """Do what a frame asks for; whatever the adapter raises becomes an answer too."""
        from tokbench.errors import TokbenchError
        from tokbench.external.frames import Frame

        try:
            import torch

            torch.set_num_threads(asked.head["threads"])
            with torch.no_grad():
                return Frame(self._build(asked.head)) if asked.head["call"] == "build" else self._call(asked)
        except (Exception, SystemExit) as error:
            # Third-party code may raise anything, or leave; tokbench decides what it means for the run.
            ours = error if isinstance(error, TokbenchError) else None
            failure = {
                "type": type(error).__name__,
                "message": ours.message if ours else str(error),
                "hint": ours.hint if ours else None,
                "module": getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None,
                "trace": traceback.format_exc()[-_TRACE_CHARACTERS:],
            }
            return Frame({"error": failure})

    def _build(self, head: dict[str, Any]) -> dict[str, Any]:
        import torch

        from tokbench.stored import stored_tensors
        from tokbench.tokenizer import TokenSpec, capabilities

        _seed()
        self._device = torch.device(head["device"])
        spec: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in head["spec"].items()
        }
        given: dict[str, Any] = {
            "device": self._device,
            "dtype": getattr(torch, head["dtype"]),
            "weights": {name: Path(path) for name, path in head["weights"].items()},
        }
        if head["source"]:
            given["source"] = Path(head["source"])
            sys.path.insert(0, head["source"])
        self._tokenizer = _module(Path(head["adapter"])).build(TokenSpec(**spec), **given)
        stored = stored_tensors(self._tokenizer)
        return {
            "type": type(self._tokenizer).__name__,
            "complete": all(hasattr(self._tokenizer, name) for name in ("encode", "decode")),
            "capabilities": capabilities(self._tokenizer),
            "parameters": sum(each.numel() for each in stored if each.is_floating_point()),
        }

    def _call(self, asked: Frame) -> Frame:
        from tokbench.external.frames import Frame
        from tokbench.external.tensors import random_parts, set_random

        set_random(asked, self._device)
        if asked.head["call"] == "lengths":
            more, parts = {"lengths": [int(length) for length in self._tokenizer.lengths()]}, []
        else:
            more, parts = {}, self._parts(asked)
        return Frame(more, (*parts, *random_parts(self._device)))

    def _parts(self, asked: Frame) -> list[Part]:
        from tokbench.external.frames import FrameError
        from tokbench.external.tensors import codes_from, codes_to_parts, on_device, to_part, to_tensor

        call, tokenizer = asked.head["call"], self._tokenizer
        if call == "codebook":
            return [to_part("codebook", tokenizer.codebook())]
        if call in {"encode", "encoder_features"}:
            images = to_tensor(asked.part("images")).to(self._device)
            if call == "encode":
                return codes_to_parts(tokenizer.encode(images))
            return [to_part("features", tokenizer.encoder_features(images))]
        codes = on_device(codes_from(asked), self._device)
        if call == "decode":
            return [to_part("images", tokenizer.decode(codes))]
        if call == "truncate":
            return codes_to_parts(tokenizer.truncate(codes, asked.head["length"]))
        raise FrameError(f"unknown call `{call}`")


def serve(channel: Channel) -> None:
    """Answer frame after frame until the other side closes the pipe.

    Frames are read by a thread of its own, so that the end of tokbench is noticed in the middle of a long call.
    """
    asked: queue.SimpleQueue[Frame] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                asked.put(channel.receive())
        finally:
            _end()

    threading.Thread(target=listen, daemon=True).start()
    server = Server()
    while True:
        channel.send(server.answer(asked.get()))


def _end() -> None:
    """Leave at once, and take along whatever the adapter started: this process leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _seed() -> None:
    """Seed every generator that an adapter may draw random weights from."""
    import torch

    torch.manual_seed(0)
    random.seed(0)
    with contextlib.suppress(ImportError):
        import numpy as np

        np.random.seed(0)


def _module(path: Path, name: str = "tokbench_adapter") -> ModuleType:
    """Import a file by its path."""
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)] if path.name == "__init__.py" else None
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Serve on the file descriptors named on the command line."""
    package, incoming, outgoing = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for descriptor in (incoming, outgoing):
        os.set_inheritable(descriptor, False)
    _module(package / "__init__.py", "tokbench")
    from tokbench.external.frames import Channel

    sys.argv = ["tokbench-worker"]  # scripts that parse the command line when imported find it empty
    serve(Channel(incoming, outgoing))


if __name__ == "__main__":
    main()
