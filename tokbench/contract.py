"""Checks what an adapter returns against the contract of `tokbench.tokenizer`; every error shows got against wanted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

from tokbench.errors import ContractError

if TYPE_CHECKING:
    from torch import Tensor

    from tokbench.tokenizer import Codes, TokenSpec

LOWEST, HIGHEST = -1.0, 2.0
"""Decoders overshoot [0, 1] and are clamped; beyond these bounds the range itself is wrong."""

SIGNED_LOW, SIGNED_HIGH = -0.5, 1.1
"""Values below the first that never exceed the second are not overshoot but images in [-1, 1]."""


def check_codes(codes: object, spec: TokenSpec, n: int) -> None:
    """Check what `encode` returned for n images.

    Raises:
        ContractError: wrong type, form, batch length, dtype, id range or NaN.
    """
    from tokbench.tokenizer import Codes

    if not isinstance(codes, Codes):
        _fail(spec, "encode", f"a {type(codes).__name__}", "tokbench.Codes")
    forms = [name for name in ("ids", "latents", "payloads") if getattr(codes, name) is not None]
    if len(forms) != 1:
        _fail(
            spec,
            "encode",
            f"Codes with {' and '.join(forms) or 'nothing'}",
            "exactly one of ids, latents, payloads",
        )
    value = getattr(codes, forms[0])
    if codes.payloads is None:
        _check_plain(value, spec, "encode", forms[0])
    elif not isinstance(value, tuple | list):
        _fail(spec, "encode", f"payloads that are a {type(value).__name__}", "a tuple of bytes")
    if len(value) != n:
        _fail(spec, "encode", f"{forms[0]} for {len(value)} images", f"{n}")
    if codes.ids is not None:
        _check_ids(codes.ids, spec)
    elif codes.latents is not None:
        _check_latents(codes.latents, spec)


def _check_plain(value: object, spec: TokenSpec, verb: str, what: str) -> None:
    """Refuse what is no tensor, holds no numbers of its own (sparse, meta), or has no axis of images."""
    import torch

    if not isinstance(value, torch.Tensor):
        _fail(spec, verb, f"{what} that are a {type(value).__name__}", "a tensor")
    if value.layout != torch.strided or value.device.type == "meta" or value.ndim == 0:
        shown = f"{str(value.layout).removeprefix('torch.')}, on {value.device}, {value.ndim} axes"
        _fail(spec, verb, f"{what} that are no plain tensor ({shown})", "a dense tensor, images first")


def _check_ids(ids: Tensor, spec: TokenSpec) -> None:
    import torch

    if ids.dtype not in {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}:
        _fail(spec, "encode", f"ids of {ids.dtype}", "an integer dtype: uint8, or int8 to int64")
    if spec.codebooks > 1 and (ids.ndim < 2 or not 1 <= ids.shape[1] <= spec.codebooks):
        _fail(spec, "encode", f"ids of shape {tuple(ids.shape)}", f"[n, up to {spec.codebooks} codebooks, …]")
    if ids.numel() and spec.vocab is not None:
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= spec.vocab:
            _fail(spec, "encode", f"ids from {low} to {high}", f"0 to {spec.vocab - 1} (vocab {spec.vocab})")


def _check_latents(latents: Tensor, spec: TokenSpec) -> None:
    import torch

    if latents.dtype not in {torch.float16, torch.bfloat16, torch.float32}:
        _fail(spec, "encode", f"latents of {latents.dtype}", "a floating dtype: float16, bfloat16 or float32")
    bad = int((~latents.isfinite()).sum())
    if bad:
        _fail(spec, "encode", f"{bad} latents that are NaN or infinite", "finite numbers")


def check_images(
    images: object, spec: TokenSpec, shape: tuple[int, int, int, int], *, trained: bool = True
) -> None:
    """Check what `decode` returned.

    Args:
        images: the returned value.
        spec: the tokenizer's spec.
        shape: ``(n, 3, h, w)`` of the encoded images.
        trained: False for random weights, whose images may have any finite values.

    Raises:
        ContractError: wrong type, shape, dtype, range, or NaN.
    """
    import torch

    if not isinstance(images, torch.Tensor):
        _fail(spec, "decode", f"a {type(images).__name__}", "a tensor")
    _check_plain(images, spec, "decode", "images")
    if tuple(images.shape) != shape:
        _fail(spec, "decode", f"shape {tuple(images.shape)}", f"{shape}")
    if images.dtype not in {torch.float16, torch.bfloat16, torch.float32, torch.float64}:
        _fail(
            spec, "decode", f"dtype {images.dtype}", "a floating dtype in [0, 1]; the harness rounds to uint8"
        )
    low, high = (float(bound) for bound in images.detach().aminmax())
    if not trained and math.isfinite(low) and math.isfinite(high):
        return
    if math.isnan(low) or math.isnan(high):
        bad = int(images.isnan().sum())
        _fail(spec, "decode", f"NaN in {bad} of {images.numel()} samples", "finite numbers in [0, 1]")
    if low < LOWEST or high > HIGHEST or (low < SIGNED_LOW and high < SIGNED_HIGH):
        _fail(
            spec,
            "decode",
            f"values from {low:.3g} to {high:.3g}",
            "values in [0, 1] (scale [-1, 1] as (x + 1) / 2)",
        )


def check_untouched(given: Tensor, kept: Tensor, spec: TokenSpec) -> None:
    """Check that `encode` left the images that it was given as they were.

    Args:
        given: what was handed to `encode`, after the call.
        kept: a copy from before the call.
        spec: the tokenizer's spec.

    Raises:
        ContractError: it wrote into them: whatever looks at the images later would see others.
    """
    import torch

    if not torch.equal(given, kept):
        _fail(spec, "encode", "after writing into the images it was given", "them untouched")


def check_same_codes(first: Codes, second: Codes, spec: TokenSpec) -> None:
    """Check that encoding the same images twice gave the same codes.

    Raises:
        ContractError: they differ although the spec says ``deterministic``.
    """
    import torch

    for name in ("ids", "latents"):
        a, b = getattr(first, name), getattr(second, name)
        if a is not None and not torch.equal(a, b):
            _fail(
                spec,
                "encode",
                f"{int((a != b).sum())} of {a.numel()} {name} differ between two calls on the same images",
                "equal codes, or `deterministic = false` in the spec",
            )
    if first.payloads != second.payloads:
        _fail(spec, "encode", "payloads differ between two calls on the same images", "equal bytes")


def check_same_images(first: Tensor, second: Tensor, spec: TokenSpec) -> None:
    """Check that decoding the same codes twice gave the same images.

    Raises:
        ContractError: they differ although the spec says ``deterministic``.
    """
    difference = float((first.detach().float() - second.detach().float()).abs().max())
    if difference > 0:
        _fail(
            spec,
            "decode",
            f"images that differ by up to {difference:.3g} between two calls on the same codes",
            "images that depend on nothing but the codes, or `deterministic = false` in the spec",
        )


def _fail(spec: TokenSpec, verb: str, got: str, wanted: str) -> NoReturn:
    raise ContractError(
        f"tokenizer `{spec.name}`: {verb}() returned {got}; wanted {wanted}",
        hint=f"`tokbench check {spec.name}` runs the whole contract on it",
    )
