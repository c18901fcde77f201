"""A small convolutional VQ tokenizer: one id of `vocab` for every 8×8 pixels, any image size.

::

    image [n, 3, h, w] in [0, 1]
      └ unshuffle 4 ─ blocks at 1/4 ─ unshuffle 2 ─ blocks at 1/8 ─► direction on the unit sphere [n, dim, h/8, w/8]
      ids [n, h/8, w/8] = the entry with the largest cosine
      └ blocks at 1/8 ─ shuffle 2 ─ blocks at 1/4 ─ shuffle 2 ─ blocks at 1/2 ─ shuffle 2 ─► image

Full-resolution pixels are folded into channels at once, so that no convolution runs on them; there is no
normalisation layer, so that an id depends on its neighbourhood alone and never on the size of the image or on the
batch. The design follows VQ-VAE (van den Oord et al., arXiv 1711.00937) with the cosine codebook of low dimension
of ViT-VQGAN (Yu et al., arXiv 2110.04627).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn

from tokbench.errors import BrokenPluginError
from tokbench.nn.lanes import one_by_one

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = "tokbench-conv-vq-1"
STRIDE = 8


@dataclass(frozen=True)
class ConvVQConfig:
    """Sizes of a `ConvVQ`.

    Attributes:
        vocab: entries of the codebook.
        dim: length of an entry.
        coarse: channels at 1/8 of the resolution.
        middle: channels at 1/4.
        fine: channels at 1/2 (decoder only).
        encoder_blocks: residual blocks of the encoder at (1/4, 1/8).
        decoder_blocks: residual blocks of the decoder at (1/8, 1/4, 1/2).
    """

    vocab: int = 1024
    dim: int = 16
    coarse: int = 128
    middle: int = 64
    fine: int = 32
    encoder_blocks: tuple[int, int] = (2, 2)
    decoder_blocks: tuple[int, int, int] = (3, 2, 2)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ConvVQConfig:
        """Rebuild from JSON, which has no tuples."""
        sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        return cls(**sizes)


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(relu(x))))``, 3×3, the identity at the start of training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Without normalisation a stack of blocks explodes at the start unless each begins as the identity.
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, channels, h, w]`` to the same shape."""
        residual: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + residual


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """Convolve at the same resolution; first weights keep the size of the signal, which nothing normalises."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    return conv


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


class Encoder(nn.Module):
    """Image ``[n, 3, h, w]`` in [0, 1] to latents ``[n, dim, h/8, w/8]`` (not yet on the sphere)."""

    def __init__(self, config: ConvVQConfig) -> None:
        super().__init__()
        self.stem = _conv(3 * 16, config.middle, 3)
        self.middle = _blocks(config.middle, config.encoder_blocks[0])
        self.down = _conv(4 * config.middle, config.coarse, 1)
        self.coarse = _blocks(config.coarse, config.encoder_blocks[1])
        self.out = _conv(config.coarse, config.dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Encode; h and w are multiples of 8."""
        x = self.middle(self.stem(F.pixel_unshuffle(images * 2 - 1, 4)))
        x = self.coarse(self.down(F.pixel_unshuffle(x, 2)))
        latents: Tensor = self.out(F.relu(x))
        return latents


class Decoder(nn.Module):
    """Codebook entries ``[n, dim, h/8, w/8]`` to an image ``[n, 3, h, w]``, nominally in [0, 1], not clamped."""

    def __init__(self, config: ConvVQConfig) -> None:
        super().__init__()
        self.stem = _conv(config.dim, config.coarse, 3)
        self.coarse = _blocks(config.coarse, config.decoder_blocks[0])
        self.up_middle = _conv(config.coarse, 4 * config.middle, 1)
        self.middle = _blocks(config.middle, config.decoder_blocks[1])
        self.up_fine = _conv(config.middle, 4 * config.fine, 1)
        self.fine = _blocks(config.fine, config.decoder_blocks[2])
        self.out = _conv(config.fine, 3 * 4, 3)

    def forward(self, entries: Tensor) -> Tensor:
        """Decode unit vectors."""
        # Unit vectors have components of size dim ** -0.5; convolutions are initialised for size 1.
        x = self.coarse(self.stem(entries * entries.shape[1] ** 0.5))
        x = self.middle(F.pixel_shuffle(self.up_middle(x), 2))
        x = self.fine(F.pixel_shuffle(self.up_fine(x), 2))
        return F.pixel_shuffle(self.out(F.relu(x)), 2) * 0.5 + 0.5


class SphereCodebook(nn.Module):
    """Unit vectors ``[vocab, dim]``; nearest means the largest cosine."""

    entries: Tensor

    def __init__(self, vocab: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("entries", F.normalize(torch.randn(vocab, dim), dim=1))

    def nearest(self, directions: Tensor) -> Tensor:
        """Find the entry of each of ``[n, dim]`` unit vectors: int64 ``[n]``."""
        return (directions @ self.entries.T).argmax(dim=1)

    def forward(self, ids: Tensor) -> Tensor:
        """Look ids ``[n, h, w]`` up: ``[n, dim, h, w]``."""
        return self.entries[ids].permute(0, 3, 1, 2)


class ConvVQ(nn.Module):
    """Encoder, codebook and decoder.

    Args:
        config: sizes; the weights are drawn from torch's global generator.
    """

    def __init__(self, config: ConvVQConfig | None = None) -> None:
        super().__init__()
        self.config = config or ConvVQConfig()
        self.encoder = Encoder(self.config)
        self.codebook = SphereCodebook(self.config.vocab, self.config.dim)
        self.decoder = Decoder(self.config)

    def encode(self, images: Tensor) -> Tensor:
        """Turn ``[n, 3, h, w]`` in [0, 1], h and w multiples of 8, into ids ``[n, h/8, w/8]``.

        On the CPU the ids of an image depend on that image alone, not on the batch or the number of threads
        (`one_by_one`): near a boundary between two entries the last bit of a latent decides the id.
        """
        return one_by_one(self._encode, images)

    def decode(self, ids: Tensor) -> Tensor:
        """Turn ids ``[n, h/8, w/8]`` into ``[n, 3, h, w]`` in [0, 1]; as independent of the batch as `encode`."""
        return one_by_one(self._decode, ids)

    def _encode(self, images: Tensor) -> Tensor:
        directions = F.normalize(self.encoder(images), dim=1)
        n, dim, rows, columns = directions.shape
        flat = directions.permute(0, 2, 3, 1).reshape(-1, dim)
        return self.codebook.nearest(flat).reshape(n, rows, columns)

    def _decode(self, ids: Tensor) -> Tensor:
        images: Tensor = self.decoder(self.codebook(ids))
        return images.clamp(0, 1)


def save_conv_vq(model: ConvVQ, path: Path, metadata: Mapping[str, str]) -> None:
    """Write weights as float16 safetensors, with the sizes and `metadata` in the header."""
    from safetensors.torch import save_file

    tensors = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in model.state_dict().items()
    }
    header = {**metadata, "format": FORMAT, "config": json.dumps(asdict(model.config))}
    save_file(tensors, path, metadata=header)


def load_conv_vq(path: Path) -> ConvVQ:
    """Read what `save_conv_vq` wrote; float32, evaluation mode, on the CPU.

    Raises:
        BrokenPluginError: the file is not such a file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise BrokenPluginError(
            f"{path} is not a safetensors file: {error}", hint="fetch or train it again"
        ) from error
    if header.get("format") != FORMAT:
        raise BrokenPluginError(
            f"{path} holds {header.get('format', 'no format name')}, wanted {FORMAT}",
            hint="scripts/train_conv_vq.py writes such a file",
        )
    model = ConvVQ(ConvVQConfig.of(json.loads(header["config"])))
    # float16 left the entries a little off length 1.
    tensors["codebook.entries"] = F.normalize(tensors["codebook.entries"], dim=1)
    model.load_state_dict(tensors)
    return model.eval()
