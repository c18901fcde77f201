"""Tensors and codes as parts of a frame, in whatever torch is at hand.

Bytes are taken from a tensor's memory and not through numpy, because old torch and new numpy do not know each other.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import torch

from tokbench.errors import ContractError
from tokbench.external.frames import ITEM_BYTES, Frame, FrameError, Part
from tokbench.tokenizer import Codes

if TYPE_CHECKING:
    from torch import Tensor

_PAYLOAD = "payload"


def to_part(name: str, tensor: object) -> Part:
    """Copy a tensor from wherever it lies.

    Raises:
        ContractError: it is no tensor, or of a type that has no place in images or codes.
    """
    if not isinstance(tensor, torch.Tensor):
        raise ContractError(f"`{name}` is a {type(tensor).__name__}; wanted a tensor")
    kind = str(tensor.dtype).rpartition(".")[2]
    if kind not in ITEM_BYTES or tensor.layout != torch.strided:
        raise ContractError(f"`{name}` is a tensor of {tensor.dtype}, {tensor.layout}; wanted a plain one")
    host = tensor.detach().cpu().contiguous()
    count = host.numel() * host.element_size()
    data = bytes((ctypes.c_ubyte * count).from_address(host.data_ptr())) if count else b""
    return Part(name, kind, tuple(host.shape), data)


def to_tensor(part: Part) -> Tensor:
    """Make a tensor on the CPU, which owns its memory.

    Raises:
        FrameError: the part is no tensor.
    """
    if part.kind == "bytes":
        raise FrameError(f"`{part.name}` is no tensor")
    dtype = getattr(torch, part.kind)
    if not part.data:
        return torch.empty(part.shape, dtype=dtype)
    return torch.frombuffer(part.data, dtype=dtype).reshape(part.shape)


def codes_to_parts(codes: object) -> list[Part]:
    """Copy codes; whether they keep the rest of the contract is checked by whoever uses them.

    Raises:
        ContractError: they are no codes, or hold what is neither tensor nor bytes.
    """
    if not isinstance(codes, Codes):
        raise ContractError(f"returned a {type(codes).__name__}; wanted tokbench.Codes")
    parts = [
        to_part(name, value) for name in ("ids", "latents") if (value := getattr(codes, name)) is not None
    ]
    for payload in codes.payloads or ():
        if not isinstance(payload, bytes):
            raise ContractError(f"returned a payload that is a {type(payload).__name__}; wanted bytes")
        parts.append(Part(_PAYLOAD, "bytes", (len(payload),), payload))
    return parts


def codes_from(frame: Frame) -> Codes:
    """Make codes of what a frame holds."""
    tensors = {part.name: to_tensor(part) for part in frame.parts if part.name in {"ids", "latents"}}
    payloads = tuple(bytes(part.data) for part in frame.parts if part.name == _PAYLOAD)
    return Codes(tensors.get("ids"), tensors.get("latents"), payloads or None)


def random_parts(device: torch.device) -> list[Part]:
    """Return the states of torch's generators: the CPU's, and that of a CUDA device."""
    parts = [to_part("random", torch.get_rng_state())]
    if device.type == "cuda":
        parts.append(to_part("random.cuda", torch.cuda.get_rng_state(device)))
    return parts


def set_random(frame: Frame, device: torch.device) -> None:
    """Put torch's generators into the states that came with a frame."""
    torch.set_rng_state(to_tensor(frame.part("random")))
    if device.type == "cuda":
        torch.cuda.set_rng_state(to_tensor(frame.part("random.cuda")), device)


def on_device(codes: Codes, device: torch.device) -> Codes:
    """Move codes to a device."""
    ids, latents = (None if each is None else each.to(device) for each in (codes.ids, codes.latents))
    return Codes(ids, latents, codes.payloads)
