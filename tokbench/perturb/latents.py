"""What stands for pFID where latents are continuous: noise of the latents' own scale, and a step to a neighbour."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tokbench.perturb.draws import normal_rows, uniform
from tokbench.tokenizer import Codes
from tokbench.views import View

if TYPE_CHECKING:
    from torch import Tensor

    from tokbench.tokenizer import TokenSpec
    from tokbench.views import Encoded

Mode = Literal["slerp", "linear"]

CANDIDATES = 10
_PARALLEL = 1e-6


def needs_latents(spec: TokenSpec) -> str:
    """Return "" for tokenizers with continuous latents, else the reason."""
    return "" if spec.kind == "continuous" else "needs continuous latents"


def deviation(latents: Tensor, channel_axis: int | None = None) -> Tensor:
    """Return the standard deviation of each channel of each image over its positions, which broadcasts to `latents`.

    Args:
        latents: float ``[n, *shape]``.
        channel_axis: the axis of channels; by default 1 of ``[n, c, h, w]`` and longer, the last of ``[n, tokens, c]``,
            none for ``[n, c]``, where all values of the image count as one channel.
    """
    if channel_axis is None:
        channel_axis = {2: None, 3: 2}.get(latents.ndim, 1)
    axes = [axis for axis in range(1, latents.ndim) if axis != channel_axis]
    return latents.std(dim=axes, correction=0, keepdim=True)


@dataclass(frozen=True)
class Noise:
    """Adds Gaussian noise of `sigma` times the latents' own deviation, image by image and channel by channel.

    A spec may name its axis of channels in ``options.channel_axis``; `deviation` has the default.

    Attributes:
        cell: name of the view, and of the random stream.
        sigma: level, 0 for none.
    """

    cell: str
    sigma: float

    def __call__(self, encoded: Encoded) -> Codes:
        """Perturb a batch; each image by draws of its own."""
        import torch

        latents = encoded.codes.latents
        assert latents is not None
        draws = normal_rows(encoded.seed, encoded.image_ids, self.cell, "noise", latents[0].numel())
        noise = torch.from_numpy(draws).to(latents.device, torch.float32).reshape(latents.shape)
        exact = latents.to(torch.float32)
        scale = deviation(exact, encoded.tokenizer.spec.options.get("channel_axis"))
        return Codes(latents=(exact + self.sigma * scale * noise).to(latents.dtype))


def noisy(sigma: float) -> View:
    """Make the view of one level of noise, e.g. ``s=0.5``.

    Raises:
        ValueError: the level is negative.
    """
    if sigma < 0:
        raise ValueError(f"noise level {sigma} is negative")
    name = f"s={sigma:g}"
    return View(name, Noise(name, sigma), (), needs_latents)


def interpolate(
    latents: Tensor, bank: Tensor, draws: Tensor, *, mode: Mode = "slerp", weight: float = 0.5
) -> Tensor:
    """Move latents towards near ones of other images, as iFID does (2603.05630, `evalvae.py`).

    Of the 10 candidates in the bank that are nearest by cosine (``slerp``) or Euclidean distance (``linear``), one is
    drawn with probability ∝ exp(-mean squared difference); the result lies at `weight` on the way to it. Every image
    is dealt with by itself, so the batch does not matter.

    Args:
        latents: float ``[n, *shape]``.
        bank: float ``[m, *shape]``, latents of other images; the authors take ImageNet's training images.
        draws: uniform numbers ``[n]`` in [0, 1), which choose the candidates.
        mode: ``slerp`` or ``linear``.
        weight: 0 gives the latents back, 1 the candidate; iFID uses 0.5.

    Returns:
        Of the shape and dtype of `latents`.

    Raises:
        ValueError: the bank does not hold latents of this shape.
    """
    import torch

    if bank.shape[1:] != latents.shape[1:] or not len(bank):
        raise ValueError(f"bank of shape {tuple(bank.shape)} for latents of shape {tuple(latents.shape)}")
    others = bank.reshape(len(bank), -1)
    moved = []
    for image, draw in zip(latents.reshape(len(latents), -1).double(), draws, strict=True):
        found = others[_candidates(image.to(others.dtype), others, mode)].double()
        likelihood = torch.softmax(-(found - image).square().mean(dim=1), dim=0).cumsum(dim=0)
        place = int(torch.searchsorted(likelihood, draw.to(likelihood) * likelihood[-1], right=True))
        chosen = found[min(place, len(found) - 1)]
        moved.append(slerp(image, chosen, weight) if mode == "slerp" else image.lerp(chosen, weight))
    return torch.stack(moved).reshape(latents.shape).to(latents.dtype)


def slerp(start: Tensor, end: Tensor, weight: float) -> Tensor:
    """Interpolate along the arc between two vectors ``[d]``; along the straight line where they are parallel."""
    import torch

    cosine = torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    if sine < _PARALLEL:
        return start.lerp(end, weight)
    return (torch.sin((1 - weight) * angle) * start + torch.sin(weight * angle) * end) / sine


def _candidates(image: Tensor, others: Tensor, mode: Mode) -> Tensor:
    """Return the indices of the nearest rows of the bank, nearest first, the lower index first among equals."""
    import torch

    if mode == "slerp":
        cost = -torch.nn.functional.cosine_similarity(others, image[None], dim=1)
    else:
        cost = (others - image).square().sum(dim=1)
    return cost.argsort(stable=True)[:CANDIDATES]


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Moves latents towards near ones of a fixed bank; see `interpolate`.

    Attributes:
        cell: name of the view, and of the random stream.
        bank: float ``[m, *shape]``, in the latents' own units, on any device.
        mode: ``slerp`` or ``linear``.
        weight: how far.
    """

    cell: str
    bank: Tensor
    mode: Mode = "slerp"
    weight: float = 0.5

    def __call__(self, encoded: Encoded) -> Codes:
        """Move a batch; each image by a draw of its own."""
        import torch

        latents = encoded.codes.latents
        assert latents is not None
        draws = [
            float(uniform(encoded.seed, image_id, self.cell, "candidate", 1)[0])
            for image_id in encoded.image_ids
        ]
        bank = self.bank.to(latents.device)
        chosen = torch.tensor(draws, dtype=torch.float64, device=latents.device)
        return Codes(latents=interpolate(latents, bank, chosen, mode=self.mode, weight=self.weight))


def interpolated(bank: Tensor, *, mode: Mode = "slerp", weight: float = 0.5) -> View:
    """Make the view of iFID, e.g. ``i=0.5 slerp 1a2b3c4d``; the digits are the bank's, since it decides the number.

    Args:
        bank: latents of images that are not evaluated, float ``[m, *shape]``, of the tokenizer that is.
        mode: ``slerp`` or ``linear``.
        weight: how far.
    """
    data = bank.detach().cpu().float().contiguous().numpy()
    digest = hashlib.sha256(str(data.shape).encode() + data.tobytes()).hexdigest()
    name = f"i={weight:g} {mode} {digest[:8]}"
    return View(name, Interpolation(name, bank, mode, weight), (), needs_latents)
