"""Tokenizers whose architecture a library has: what its classes need to be told, and how they are called.

Nothing here is an architecture. An adapter names a class in ``options.class``, its settings in ``options.config`` and
the calls; ranges, dtypes and devices are handled here once.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.errors import SetupError
from tokbench.nn.dtype import floating_dtype
from tokbench.tokenizer import Codes, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor, nn

_FORMER_NAMES = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}


def diffusers_model(spec: TokenSpec) -> nn.Module:
    """Build the diffusers class ``options.class`` with the settings ``options.config``.

    Settings that are not stated have the library's defaults; those it does not know are passed over, as it does with
    the ``config.json`` of older checkpoints. ``options.module`` names the module when it is not ``diffusers`` itself.

    Raises:
        SetupError: the installed diffusers has no such class.
    """
    module = importlib.import_module(spec.options.get("module", "diffusers"))
    kind = getattr(module, spec.options["class"], None)
    if kind is None:
        raise SetupError(
            f"tokenizer `{spec.name}`: {module.__name__} {getattr(module, '__version__', '')} has no "
            f"{spec.options['class']}",
            hint="pip install 'diffusers>=0.42'",
        )
    model: nn.Module = kind.from_config(dict(spec.options.get("config", {})))
    return model


def present_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the attention layers of checkpoints saved by diffusers before 0.17 as the library now calls them."""
    renamed = {}
    for name, value in state.items():
        for former, present in _FORMER_NAMES.items():
            name = name.replace(former, present)  # noqa: PLW2901
        renamed[name] = value
    return renamed


@dataclass(frozen=True, kw_only=True)
class _Called:
    """A network and its calls.

    Attributes:
        spec: what the header says.
        network: on its device, in evaluation mode.
        forth: from images in the network's own range and dtype to codes.
        back: from codes on the network's device to images in its own range.
        range: that range: the values of black and white.
    """

    spec: TokenSpec
    network: Any
    forth: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]
    range: tuple[float, float] = (-1.0, 1.0)

    def pixels(self, images: Tensor) -> Tensor:
        """Bring images from [0, 1] into the network's range and dtype."""
        black, white = self.range
        return (images * (white - black) + black).to(floating_dtype(self.network))

    def images(self, pixels: Tensor) -> Tensor:
        """Bring them back, float32."""
        black, white = self.range
        return (pixels.float() - black) / (white - black)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = next(self.network.parameters()).device
        return device


class LatentTokenizer(_Called):
    """Continuous: `forth` gives latents ``[n, channels, *positions]`` in the network's dtype."""

    def encode(self, images: Tensor) -> Codes:
        """Return the latents."""
        return Codes(latents=self.forth(self.pixels(images)))

    def decode(self, codes: Codes) -> Tensor:
        """Rebuild the images from latents alone."""
        assert codes.latents is not None
        return self.images(self.back(codes.latents.to(self.device, floating_dtype(self.network))))


class IdTokenizer(_Called):
    """Discrete: `forth` gives ids ``[n, *positions]``."""

    def encode(self, images: Tensor) -> Codes:
        """Return the ids, int64."""
        return Codes(ids=self.forth(self.pixels(images)).long())

    def decode(self, codes: Codes) -> Tensor:
        """Rebuild the images from ids alone."""
        assert codes.ids is not None
        return self.images(self.back(codes.ids.to(self.device)))


@dataclass(frozen=True, kw_only=True)
class CodebookTokenizer(IdTokenizer):
    """Discrete with stored entries.

    Attributes:
        entries: the codebook, ``[vocab, dim]``.
    """

    entries: Callable[[], Tensor]

    def codebook(self) -> Tensor:
        """Return the entries, float32 ``[vocab, dim]``."""
        return self.entries().float()


@dataclass(frozen=True, kw_only=True)
class VectorTokenizer(CodebookTokenizer):
    """Discrete with stored entries and a look at what they stand for.

    Attributes:
        vectors: from images in the network's range to what its quantiser is given, ``[n, *positions, dim]``.
    """

    vectors: Callable[[Tensor], Tensor]

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return the vectors before quantisation, float32 ``[n, *positions, dim]``."""
        return self.vectors(self.pixels(images)).float()
