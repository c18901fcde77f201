"""Codes as bytes: what would be stored or sent, and where bits are counted.

Everything a tokenizer's `decode` sees has passed through these bytes, so nothing can slip from `encode` to
`decode` uncounted. One image's bytes are a header and a body::

    form u8 | dtype u8 | bits per id u8 | rank u8 | crc32 u32 | rank × u32 shape without the batch axis | body

all little-endian. The body is ids at ``ceil(log2 vocab)`` bits each (least significant bit first, the last
byte filled up with zeros), or latents in their own dtype, or the payload as it is. The checksum covers all
other bytes.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tokbench.errors import ContractError
from tokbench.tokenizer import Codes, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

_IDS, _LATENTS, _PAYLOAD = 1, 2, 3
_FORMS: Final = {_IDS: "ids", _LATENTS: "latents", _PAYLOAD: "payloads"}
# Positions in these tuples are stored in headers: append, never reorder.
_ID_DTYPES: Final = ("uint8", "int8", "int16", "int32", "int64")
_LATENT_DTYPES: Final = ("float16", "bfloat16", "float32")
_HEADER: Final = struct.Struct("<BBBB")
_CRC: Final = struct.Struct("<I")
_MOST_AXES: Final = 8
_MOST_CODES: Final = 1 << 28
_MOST_EMPTY: Final = 1 << 20
_HINT: Final = "the contract of codes is `Codes` and `TokenSpec` in tokbench.tokenizer"


@dataclass(frozen=True)
class Packed:
    """The codes of one image as bytes.

    Attributes:
        data: header and body.
        bits: what the image costs. For ids and latents the body (filling bits aside) without the header,
            because their shape follows from the size of the image; for payloads every byte of the payload.
    """

    data: bytes
    bits: int


@dataclass(frozen=True)
class _Head:
    """The header of one image; equal for all images of a batch, payloads aside."""

    form: int
    dtype: int
    width: int
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def volume(self) -> int:
        """What `count` would be without empty axes: ids of no bits and empty latents have bodies of no bytes."""
        return math.prod(max(side, 1) for side in self.shape)

    def seal(self, body: bytes) -> bytes:
        start = _HEADER.pack(self.form, self.dtype, self.width, len(self.shape))
        shape = struct.pack(f"<{len(self.shape)}I", *self.shape)
        crc = zlib.crc32(body, zlib.crc32(shape, zlib.crc32(start)))
        return b"".join((start, _CRC.pack(crc), shape, body))


def bits_per_id(spec: TokenSpec) -> int:
    """Return ``ceil(log2 vocab)``, the bits of one id; 0 when there is one entry only.

    Raises:
        ContractError: the spec states no vocab of at least 1, so ids have no price.
    """
    if spec.vocab is None or spec.vocab < 1:
        raise _broken(spec, f"ids with vocab {spec.vocab}", "a vocab of at least 1 in its TokenSpec")
    return (spec.vocab - 1).bit_length()


def pack(codes: Codes, spec: TokenSpec) -> list[Packed]:
    """Serialise a batch, each image on its own: its bytes do not depend on the rest of the batch.

    Args:
        codes: codes of n images, on any device. Ids may have fewer codebooks than the spec, once truncated.
        spec: the spec of the tokenizer that made them.

    Returns:
        n packed images, in order.

    Raises:
        ContractError: not exactly one form is set, or the form breaks the contract: dtype, axes, ids outside
            ``[0, vocab)``, latents that are not finite, payloads that are not bytes.
    """
    given = [name for name in ("ids", "latents", "payloads") if getattr(codes, name) is not None]
    if len(given) != 1:
        raise _broken(spec, f"codes with {' and '.join(given) or 'nothing'}", "one of ids, latents, payloads")
    if codes.ids is not None:
        return _pack_ids(codes.ids, spec)
    if codes.latents is not None:
        return _pack_latents(codes.latents, spec)
    return [_pack_payload(payload, spec) for payload in codes.payloads or ()]


def unpack(data: Sequence[bytes], spec: TokenSpec) -> Codes:
    """Rebuild the codes of a batch from nothing but bytes.

    Args:
        data: the ``data`` of n packed images of one tokenizer, in order.
        spec: the spec of that tokenizer.

    Returns:
        Codes in fresh CPU tensors of the dtype that was packed.

    Raises:
        ContractError: there is no image, bytes are damaged, or they are not codes of this tokenizer.
    """
    import torch

    opened = [_open(item, spec) for item in data]
    if not opened:
        raise _broken(spec, "no bytes to unpack", "the bytes of at least one image")
    head = opened[0][0]
    bodies = [body for _, body in opened]
    for other, _ in opened:
        if other != head:
            raise _broken(spec, f"a batch of {_describe(head)} and {_describe(other)}", "one form and shape")
    if head.form == _PAYLOAD:
        return Codes(payloads=tuple(bytes(body) for body in bodies))
    shape = (len(bodies), *head.shape)
    if head.form == _IDS:
        if head.width != bits_per_id(spec):
            raise _broken(spec, f"ids of {head.width} bits", f"{bits_per_id(spec)} bits (vocab {spec.vocab})")
        return Codes(ids=_unpack_ids(bodies, head, spec).reshape(shape))
    dtype = getattr(torch, _LATENT_DTYPES[head.dtype])
    latents = (
        torch.frombuffer(bytearray().join(bodies), dtype=dtype) if head.count else torch.empty(0, dtype=dtype)
    )
    return Codes(latents=latents.reshape(shape))


def _pack_ids(ids: Tensor, spec: TokenSpec) -> list[Packed]:
    import numpy as np

    width = bits_per_id(spec)
    dtype = _dtype_index(ids, _ID_DTYPES, "ids", spec)
    if ids.ndim < 1 or (spec.codebooks > 1 and (ids.ndim < 2 or not 1 <= ids.shape[1] <= spec.codebooks)):
        wanted = f"[n, {spec.codebooks} or fewer, *positions]" if spec.codebooks > 1 else "[n, *positions]"
        raise _broken(spec, f"ids of shape {list(ids.shape)}", f"{wanted} (codebooks {spec.codebooks})")
    head = _Head(_IDS, dtype, width, tuple(ids.shape[1:]))
    values = ids.detach().cpu().contiguous().numpy().reshape(len(ids), head.count)
    _check_range(values, spec)
    if width in (8, 16, 32):
        rows = values.astype(f"<u{width // 8}", copy=False).view(np.uint8)
    else:
        size = 2 if width <= 16 else 4 if width <= 32 else 8
        octets = values.astype(f"<u{size}")[..., None].view(np.uint8)
        bits = np.unpackbits(octets, axis=-1, count=width, bitorder="little") if width else octets[..., :0]
        rows = np.packbits(bits.reshape(len(values), head.count * width), axis=-1, bitorder="little")
    return [Packed(head.seal(row.tobytes()), head.count * width) for row in rows]


def _unpack_ids(bodies: list[memoryview], head: _Head, spec: TokenSpec) -> Tensor:
    import numpy as np
    import torch

    count, width = head.count, head.width
    rows = np.stack([np.frombuffer(body, np.uint8) for body in bodies])
    if width in (8, 16, 32):
        values = rows.view(f"<u{width // 8}")
    else:
        bits = np.unpackbits(rows, axis=-1, bitorder="little")[:, : count * width].reshape(
            len(rows), count, width
        )
        octets = np.zeros((len(rows), count, 8), np.uint8)
        octets[..., : (width + 7) // 8] = np.packbits(bits, axis=-1, bitorder="little")
        values = octets.view("<u8")[..., 0]
    _check_range(values, spec)
    return torch.from_numpy(values.astype(_ID_DTYPES[head.dtype]))


def _pack_latents(latents: Tensor, spec: TokenSpec) -> list[Packed]:
    import torch

    dtype = _dtype_index(latents, _LATENT_DTYPES, "latents", spec)
    if latents.ndim < 1:
        raise _broken(spec, f"latents of shape {list(latents.shape)}", "[n, *shape]")
    values = latents.detach().cpu().contiguous()
    finite = torch.isfinite(values)
    if not bool(finite.all()):
        worst = "NaN" if bool(values.isnan().any()) else "infinity"
        raise _broken(
            spec, f"latents with {worst} ({int((~finite).sum())} of {values.numel()})", "finite values"
        )
    head = _Head(_LATENTS, dtype, 0, tuple(values.shape[1:]))
    width = values.element_size()
    octets = values.reshape(len(values), head.count).view(torch.uint8).numpy()
    return [Packed(head.seal(row.tobytes()), head.count * width * 8) for row in octets]


def _pack_payload(payload: object, spec: TokenSpec) -> Packed:
    if not isinstance(payload, bytes):
        raise _broken(spec, f"a payload of type {type(payload).__name__}", "bytes")
    return Packed(_Head(_PAYLOAD, 0, 0, ()).seal(payload), 8 * len(payload))


def _open(data: bytes, spec: TokenSpec) -> tuple[_Head, memoryview]:
    """Check one image's bytes against their checksum and length; return header and body."""
    view = memoryview(data)
    start = _HEADER.size + _CRC.size
    if len(view) < start:
        raise _broken(spec, f"{len(view)} bytes", f"a header of at least {start} bytes")
    form, dtype, width, rank = _HEADER.unpack_from(view)
    (wanted,) = _CRC.unpack_from(view, _HEADER.size)
    got = zlib.crc32(view[start:], zlib.crc32(view[: _HEADER.size]))
    if got != wanted:
        raise _broken(spec, f"damaged bytes (checksum {got:08x})", f"checksum {wanted:08x}")
    body = view[start + 4 * rank :]
    dtypes = {_IDS: len(_ID_DTYPES), _LATENTS: len(_LATENT_DTYPES), _PAYLOAD: 1}
    if form not in _FORMS or dtype >= dtypes[form] or len(view) < start + 4 * rank:
        raise _broken(
            spec, f"header {form}, {dtype}, {width}, {rank}", "the header of codes that `pack` wrote"
        )
    head = _Head(form, dtype, width, struct.unpack_from(f"<{rank}I", view, start))
    most = _MOST_CODES if len(body) else _MOST_EMPTY
    if rank > _MOST_AXES or head.volume > most:
        raise _broken(
            spec, _describe(head), f"at most {_MOST_AXES} axes and {most:,} codes in {len(body)} bytes"
        )
    if form != _PAYLOAD and len(body) != (size := _body_size(head)):
        raise _broken(spec, f"a body of {len(body)} bytes", f"{size} bytes for {_describe(head)}")
    return head, body


def _body_size(head: _Head) -> int:
    if head.form == _IDS:
        return (head.count * head.width + 7) // 8
    return head.count * (4 if _LATENT_DTYPES[head.dtype] == "float32" else 2)


def _check_range(values: np.ndarray[Any, Any], spec: TokenSpec) -> None:
    """Refuse ids outside ``[0, vocab)``; what the dtype already rules out is not looked at."""
    import numpy as np

    vocab = spec.vocab or 0
    limits = np.iinfo(values.dtype)
    if values.size == 0 or (limits.min >= 0 and limits.max < vocab):
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= vocab:
        raise _broken(spec, f"ids from {low} to {high}", f"ids in [0, {vocab})")


def _dtype_index(tensor: Tensor, allowed: tuple[str, ...], what: str, spec: TokenSpec) -> int:
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in allowed:
        raise _broken(spec, f"{what} of dtype {name}", f"one of {', '.join(allowed)}")
    return allowed.index(name)


def _describe(head: _Head) -> str:
    return f"{_FORMS[head.form]} of shape {list(head.shape)}"


def _broken(spec: TokenSpec, got: str, wanted: str) -> ContractError:
    return ContractError(f"codes of `{spec.name}`: got {got}, wanted {wanted}", hint=_HINT)
