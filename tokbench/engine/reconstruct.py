"""From originals to reconstructions: the only place where a tokenizer is called during a run."""

from __future__ import annotations

import hashlib
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from tokbench.bitstream import pack, unpack
from tokbench.contract import check_codes, check_images, check_same_codes, check_same_images, check_untouched
from tokbench.engine.device import on_device
from tokbench.engine.guard import Guard
from tokbench.errors import AdapterError, ImageError
from tokbench.images.decode import decode
from tokbench.images.preprocess import pad, restore
from tokbench.images.rounding import to_uint8
from tokbench.tokenizer import Codes, HasCodebook, TokenSpec
from tokbench.views import CLEAN, Encoded, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    from torch import Tensor

    from tokbench.images.card import Item
    from tokbench.images.imageset import ImageSet
    from tokbench.images.preprocess import Prepared
    from tokbench.metrics.cost import Profile
    from tokbench.tokenizer import Tokenizer


T = TypeVar("T")


@dataclass(frozen=True)
class Reconstruction:
    """What came back for a batch.

    Attributes:
        images: uint8 ``[m, 3, h, w]`` of the m images that have a reconstruction, on the device.
        kept: positions of those m in the batch, ascending.
        failed: ``{position: reason}`` of the others.
        codes: what `decode` was given; empty Codes for reconstructions from disk.
        clean_codes: what it is given in the clean view.
        bits: float64 ``[m]``, NaN for reconstructions from disk.
        encode_seconds: float64 ``[m]``, NaN likewise.
        decode_seconds: float64 ``[m]``, NaN likewise.
        profile: measures what the first image of the batch costs, once for each size; None for reconstructions from
            disk.
    """

    images: Tensor
    kept: tuple[int, ...]
    failed: dict[int, str]
    codes: Codes
    clean_codes: Codes
    bits: npt.NDArray[np.float64]
    encode_seconds: npt.NDArray[np.float64]
    decode_seconds: npt.NDArray[np.float64]
    profile: Callable[[], Profile] | None = None

    def select(self, rows: Sequence[int]) -> Reconstruction:
        """Return some of the images that have a reconstruction, by their rows in `images`."""
        chosen = list(rows)
        return replace(
            self,
            images=self.images[chosen],
            kept=tuple(self.kept[row] for row in chosen),
            codes=self.codes.select(chosen),
            clean_codes=self.clean_codes.select(chosen),
            bits=self.bits[chosen],
            encode_seconds=self.encode_seconds[chosen],
            decode_seconds=self.decode_seconds[chosen],
        )


@dataclass(frozen=True)
class _Back:
    """What `decode` gave for part of a batch: uint8 images before padding is cut off, and what they cost."""

    images: Tensor
    codes: Codes
    bits: npt.NDArray[np.float64]
    encode_seconds: npt.NDArray[np.float64]
    decode_seconds: npt.NDArray[np.float64]


class Reconstructor(Protocol):
    """Gives reconstructions for originals of one shape."""

    spec: TokenSpec

    def __call__(
        self, items: Sequence[Item], originals: Sequence[Prepared], views: Sequence[View], seed: int
    ) -> Iterator[tuple[View, Reconstruction]]:
        """Reconstruct a batch in every view; all originals share reference and canvas shape."""
        ...

    def codebook(self) -> Tensor | None:
        """Return the tokenizer's codebook, or None if it shows none."""
        ...


class TokenizerReconstructor:
    """Pads, encodes, serialises, decodes, checks, rounds, and cuts the padding off again."""

    def __init__(self, tokenizer: Tokenizer, device: torch.device) -> None:
        self.spec = tokenizer.spec
        self._tokenizer = tokenizer
        self._device = device
        # Metrics ask for the codebook and for profiles from other threads; a tokenizer is never called by two.
        self._lock = RLock()
        self._guard = Guard(tokenizer.spec.name)
        self._probed = False
        self._kept: dict[str, Any] = {}
        self._profiles: dict[tuple[int, ...], Profile] = {}

    def __call__(
        self, items: Sequence[Item], originals: Sequence[Prepared], views: Sequence[View], seed: int
    ) -> Iterator[tuple[View, Reconstruction]]:
        """Encode a batch once and decode it in every view.

        Raises:
            AdapterError: the tokenizer raised.
            ContractError: it returned something outside the contract.
            AdapterError: it takes one size only, and the protocol gives another.
        """
        canvases = np.stack([pad(original.canvas, self.spec.stride) for original in originals])
        images = on_device(canvases, self._device).float().div_(255)
        self._check_size(images)
        if not self._probed:
            self._probe(images[:1], f"{seed}:probe")
        # A tokenizer that draws random numbers takes images one by one, each with a seed of its own, so that
        # neighbours do not matter.
        step = len(items) if self.spec.deterministic else 1
        parts = [range(start, min(start + step, len(items))) for start in range(0, len(items), step)]
        encoded = [
            self._encode(images[part.start : part.stop], [items[i].id for i in part], seed) for part in parts
        ]
        clean = _joined([each.codes for each, _ in encoded])
        for view in views:
            backs = [self._decode(each, seconds, view) for each, seconds in encoded]
            whole = _one(backs, clean, originals, self._device)
            yield view, replace(whole, profile=partial(self._profile, images[:1], seed))

    def codebook(self) -> Tensor | None:
        """Return what the tokenizer's `codebook` returns, or None if it has none."""
        if not isinstance(self._tokenizer, HasCodebook):
            return None
        return self._call("codebook", self._tokenizer.codebook)

    def _encode(self, images: Tensor, ids: Sequence[str], seed: int) -> tuple[Encoded, float]:
        with _Seeded(f"{seed}:{ids[0]}", self._device) if not self.spec.deterministic else nullcontext():
            start = self._now()
            codes = self._call("encode", partial(self._tokenizer.encode, images))
            seconds = self._now() - start
        check_codes(codes, self.spec, len(images))
        read_back, _ = self._through_bytes(codes)
        encoded = Encoded(self._tokenizer, images, read_back, tuple(ids), seed, {}, self._kept)
        return encoded, seconds / len(images)

    def _decode(self, encoded: Encoded, encode_seconds: float, view: View) -> _Back:
        n = len(encoded.images)
        codes = (
            self._call(f"view `{view.name}`", partial(view.transform, encoded))
            if view.name
            else encoded.codes
        )
        check_codes(codes, self.spec, n)
        read_back, bits = self._through_bytes(codes)
        seeded = f"{encoded.seed}:{encoded.image_ids[0]}:decode"
        with _Seeded(seeded, self._device) if not self.spec.deterministic else nullcontext():
            start = self._now()
            output = self._call("decode", partial(self._tokenizer.decode, read_back))
            seconds = (self._now() - start) / n
        check_images(output, self.spec, (n, 3, encoded.images.shape[2], encoded.images.shape[3]))
        return _Back(to_uint8(output), read_back, bits, np.full(n, encode_seconds), np.full(n, seconds))

    def _through_bytes(self, codes: Codes) -> tuple[Codes, npt.NDArray[np.float64]]:
        """Return the codes as bytes carry them, on the device, and their bits per image."""
        packed = pack(codes, self.spec)
        bits = np.array([item.bits for item in packed], dtype=np.float64)
        return _to_device(unpack([item.data for item in packed], self.spec), self._device), bits

    def _check_size(self, images: Tensor) -> None:
        side = self.spec.resolution
        if side is None or self.spec.any_size or tuple(images.shape[2:]) == (side, side):
            return
        raise AdapterError(
            f"tokenizer `{self.spec.name}` takes images of {side}×{side} only, "
            f"and the protocol gives {images.shape[2]}×{images.shape[3]} (height×width)",
            hint=f"choose a protocol of that size, e.g. --protocol adm-{side}",
        )

    def _probe(self, image: Tensor, seed: str) -> None:
        """Run one image twice before the first batch: warms up, and catches hidden randomness early.

        Another image is encoded between the two decodes: what a decoder remembers of the last one would show.
        """
        with _Seeded(seed, self._device):
            codes = []
            for _ in range(2):
                given = image.clone()
                found = self._call("encode", partial(self._tokenizer.encode, given))
                check_codes(found, self.spec, 1)
                check_untouched(given, image, self.spec)
                # A copy: what is returned may be a buffer that the next call writes into, and would then equal itself.
                codes.append(self._through_bytes(found)[0])
            if self.spec.deterministic:
                check_same_codes(codes[0], codes[1], self.spec)
            packed = [item.data for item in pack(codes[0], self.spec)]
            shape = (1, 3, image.shape[2], image.shape[3])
            outputs = []
            for _ in range(2):
                read_back = _to_device(unpack(packed, self.spec), self._device)
                output = self._call("decode", partial(self._tokenizer.decode, read_back))
                check_images(output, self.spec, shape)
                outputs.append(output.clone())
                if len(outputs) == 1:
                    self._call("encode", partial(self._tokenizer.encode, 1 - image))
            if self.spec.deterministic:
                check_same_images(outputs[0], outputs[1], self.spec)
        self._probed = True

    def _profile(self, image: Tensor, seed: int) -> Profile:
        """Measure what an image of this size costs, the first time it is asked for."""
        from tokbench.engine.profile import profile

        size = tuple(image.shape)
        if size not in self._profiles:
            with _Seeded(f"{seed}:profile", self._device):
                self._profiles[size] = self._call(
                    "profiled encode or decode",
                    partial(
                        profile,
                        self._tokenizer,
                        image,
                        lambda codes: self._through_bytes(codes)[0],
                        self._device,
                    ),
                )
        return self._profiles[size]

    def _call(self, verb: str, function: Callable[[], T]) -> T:
        with self._lock:
            return self._guard.call(verb, function)

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


class FolderReconstructor:
    """Reads reconstructions from disk; a missing or differently sized file is a named failure."""

    def __init__(self, spec: TokenSpec, images: ImageSet, device: torch.device) -> None:
        self.spec = spec
        self._images = images
        self._device = device
        self._by_id = {item.id: item for item in images.items}

    def __call__(
        self, items: Sequence[Item], originals: Sequence[Prepared], views: Sequence[View], seed: int
    ) -> Iterator[tuple[View, Reconstruction]]:
        """Read a batch; what is on disk has one view, the clean one."""
        pixels, kept, failed = [], [], {}
        for position, (item, original) in enumerate(zip(items, originals, strict=True)):
            try:
                pixels.append(self._read(item, original))
                kept.append(position)
            except ImageError as error:
                failed[position] = error.message
        unknown = np.full(len(kept), np.nan)
        stacked = np.stack(pixels) if pixels else np.empty((0, *originals[0].reference.shape), np.uint8)
        tensor = on_device(stacked, self._device)
        yield CLEAN, Reconstruction(tensor, tuple(kept), failed, Codes(), Codes(), unknown, unknown, unknown)

    def codebook(self) -> None:
        """Return None: images on disk have no codes."""

    def _read(self, item: Item, original: Prepared) -> npt.NDArray[np.uint8]:
        match = self._by_id.get(item.id)
        if match is None:
            raise ImageError(f"`{self.spec.name}` has no reconstruction named `{item.id}`")
        _, data = next(iter(self._images.read([match])))
        if isinstance(data, ImageError):
            raise data
        pixels = decode(data, match.file).pixels
        if pixels.shape != original.reference.shape:
            got, wanted = (f"{shape[1]}×{shape[0]}" for shape in (pixels.shape, original.reference.shape))
            raise ImageError(
                f"reconstruction `{match.file}` is {got} pixels, the preprocessed original {wanted}"
            )
        return pixels


class _Seeded:
    """Fix torch's seed for one image and put the caller's random state back afterwards."""

    def __init__(self, text: str, device: torch.device) -> None:
        self._seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
        self._fork = torch.random.fork_rng([device] if device.type == "cuda" else [])

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(self._seed)

    def __exit__(self, *exception: object) -> None:
        self._fork.__exit__(None, None, None)


def _to_device(codes: Codes, device: torch.device) -> Codes:
    return Codes(
        ids=None if codes.ids is None else codes.ids.to(device),
        latents=None if codes.latents is None else codes.latents.to(device),
        payloads=codes.payloads,
    )


def _one(
    parts: Sequence[_Back], clean: Codes, originals: Sequence[Prepared], device: torch.device
) -> Reconstruction:
    """Put the parts of a batch together and cut padding off."""
    return Reconstruction(
        _restored(torch.cat([part.images for part in parts]), originals, device),
        tuple(range(len(originals))),
        {},
        _joined([part.codes for part in parts]),
        clean,
        np.concatenate([part.bits for part in parts]),
        np.concatenate([part.encode_seconds for part in parts]),
        np.concatenate([part.decode_seconds for part in parts]),
    )


def _joined(codes: Sequence[Codes]) -> Codes:
    """Concatenate single-image codes."""
    first = codes[0]
    if first.payloads is not None:
        return Codes(payloads=tuple(data for each in codes for data in each.payloads or ()))
    if first.ids is not None:
        return Codes(ids=torch.cat([each.ids for each in codes if each.ids is not None]))
    return Codes(latents=torch.cat([each.latents for each in codes if each.latents is not None]))


def _restored(output: Tensor, originals: Sequence[Prepared], device: torch.device) -> Tensor:
    """Cut padding off and undo a fit; a plain crop stays on the device."""
    height, width = originals[0].canvas.shape[:2]
    if all(original.reference.shape == original.canvas.shape for original in originals):
        return output[:, :, :height, :width].contiguous()
    host = output.permute(0, 2, 3, 1).cpu().numpy()
    restored = np.stack([restore(image, original) for image, original in zip(host, originals, strict=True)])
    return on_device(restored, device)
