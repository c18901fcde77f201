# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# license = "MIT AND LicenseRef-DALL-E-Modified-MIT"
# source = "https://github.com/openai/DALL-E"
# kind = "discrete"
# any_size = true
# verified = ["library", "contract"]
#
# [[tool.tokbench.tokenizers]]
# name = "dall-e"
# description = "the discrete VAE of DALL-E: 8×8 pixels an id, 8192 entries, 98 M parameters"
# revision = "0.1"
# vocab = 8192
# tokens = 1024
# resolution = 256
# stride = 8
# quantizer = "vq"
# trained_on = ["dall-e-250m"]
# capabilities = ["codebook"]
# [tool.tokbench.tokenizers.options.config]
# n_init = 128
# n_hid = 256
# n_blk_per_group = 2
# vocab_size = 8192
#
# [[tool.tokbench.tokenizers.weights]]
# name = "dall-e-encoder"
# source = "https://cdn.openai.com/dall-e/encoder.pkl"
# license = "LicenseRef-DALL-E-Modified-MIT"
# prefix = "encoder."
#
# [[tool.tokbench.tokenizers.weights]]
# name = "dall-e-decoder"
# source = "https://cdn.openai.com/dall-e/decoder.pkl"
# license = "LicenseRef-DALL-E-Modified-MIT"
# prefix = "decoder."
# ///
"""The discrete VAE of DALL-E (Ramesh et al., arXiv 2102.12092): transformers' `FlavaImageCodebook` and a decoder.

The encoder scores every entry at each position, and the best is taken. The published files are whole pickled modules,
which tokbench refuses: unpickling one runs what is in it. Where you trust them, keep their tensors, in an environment
with the package ``dall-e``, and pass the results as ``--weights dall-e-encoder=PATH --weights dall-e-decoder=PATH``::

    python -c "import torch; torch.save(torch.load('encoder.pkl', weights_only=False).state_dict(), 'encoder.pt')"
    python -c "import torch; torch.save(torch.load('decoder.pkl', weights_only=False).state_dict(), 'decoder.pt')"
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import FlavaImageCodebook, FlavaImageCodebookConfig

from tokbench.nn.autoencoders import Coder
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARGIN = 0.1
"""Pixels are squeezed into [0.1, 0.9], since the likelihood of training has no mass at 0 and 1 (section A.3)."""
_GROUPS = 4
_ENCODER_NAMES = (
    (re.compile(r"\.group_(\d)\.block"), r".group_\1.group.block"),
    (re.compile(r"\.res_path\."), ".res_path.path."),
)


class _Block(nn.Module):
    """Four convolutions with a fourth of the channels inside, scaled down by the depth of the network."""

    def __init__(self, inputs: int, outputs: int, gain: float) -> None:
        super().__init__()
        inside = outputs // 4
        self._gain = gain
        self.id_path = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.res_path = nn.Sequential(
            OrderedDict(
                relu_1=nn.ReLU(),
                conv_1=nn.Conv2d(inputs, inside, 1),
                relu_2=nn.ReLU(),
                conv_2=nn.Conv2d(inside, inside, 3, padding=1),
                relu_3=nn.ReLU(),
                conv_3=nn.Conv2d(inside, inside, 3, padding=1),
                relu_4=nn.ReLU(),
                conv_4=nn.Conv2d(inside, outputs, 3, padding=1),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.id_path(x) + self._gain * self.res_path(x)


class _Decoder(nn.Module):
    """Ids to six channels: the mean of a logit-Laplace variable for each colour, and its scale, which is not used."""

    def __init__(self, start: int, width: int, blocks: int, vocab: int) -> None:
        super().__init__()
        widths = [start, *(width * 2 ** (_GROUPS - 1 - group) for group in range(_GROUPS))]
        gain = 1 / (_GROUPS * blocks) ** 2
        parts: OrderedDict[str, nn.Module] = OrderedDict(input=nn.Conv2d(vocab, start, 1))
        for group in range(_GROUPS):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for block in range(blocks):
                inputs = widths[group] if block == 0 else widths[group + 1]
                layers[f"block_{block + 1}"] = _Block(inputs, widths[group + 1], gain)
            if group < _GROUPS - 1:
                layers["upsample"] = nn.Upsample(scale_factor=2)
            parts[f"group_{group + 1}"] = nn.Sequential(layers)
        parts["output"] = nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=nn.Conv2d(widths[-1], 6, 1)))
        self.blocks = nn.Sequential(parts)

    def entries(self) -> torch.Tensor:
        """Return what the first layer makes of each id, ``[vocab, channels]``."""
        first: Any = self.blocks.input
        return first.weight[:, :, 0, 0].T + first.bias

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map entries ``[n, channels, h, w]`` to ``[n, 6, 8 h, 8 w]``."""
        for layer in list(self.blocks)[1:]:
            vectors = layer(vectors)
        return vectors


class DiscreteVAE(nn.Module):
    """Both halves; images are in [0, 1]."""

    def __init__(self, config: Mapping[str, int]) -> None:
        super().__init__()
        width, blocks, vocab = config["n_hid"], config["n_blk_per_group"], config["vocab_size"]
        self.encoder = FlavaImageCodebook(
            FlavaImageCodebookConfig(
                num_groups=_GROUPS, num_blocks_per_group=blocks, hidden_size=width, vocab_size=vocab
            )
        )
        self.decoder = _Decoder(config["n_init"], width, blocks, vocab)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scores ``[n, vocab, h / 8, w / 8]`` of ``[n, 3, h, w]``."""
        return self.encoder.blocks(images * (1 - 2 * _MARGIN) + _MARGIN)

    def pixels(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the images ``[n, 3, h, w]`` of entries ``[n, channels, h / 8, w / 8]``, not clamped."""
        return (self.decoder(vectors)[:, :3].sigmoid() - _MARGIN) / (1 - 2 * _MARGIN)


class DiscreteVAETokenizer(Coder):
    """Ids are int64 ``[n, h / 8, w / 8]``; any size that is a multiple of 8."""

    def encode(self, images: torch.Tensor) -> Codes:
        """Take the entry of the highest score, one image at a time: the scores are many."""
        return Codes(ids=torch.cat([self._features(one).argmax(dim=1) for one in images.split(1)]))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Rebuild the images from ids alone."""
        assert codes.ids is not None
        entries = self.codebook()
        return self._pixels(entries[codes.ids.to(entries.device).long()].movedim(-1, 1))

    def codebook(self) -> torch.Tensor:
        """Return what the decoder's first layer makes of each id, ``[8192, 128]``."""
        return self._network.decoder.entries()


def architecture(spec: TokenSpec) -> DiscreteVAE:
    """Build the network of the official settings."""
    return DiscreteVAE(spec.options["config"])


def convert(state: Mapping[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Rename: ``w`` and ``b`` are weight and bias, and the encoder's blocks lie one level deeper in transformers."""
    renamed = {}
    for published, value in state.items():
        stem, _, kind = published.rpartition(".")
        name = f"{stem}.{ {'w': 'weight', 'b': 'bias'}.get(kind, kind) }"
        if name.startswith("encoder."):
            for pattern, new in _ENCODER_NAMES:
                name = pattern.sub(new, name)
        renamed[name] = value
    return renamed


def wrap(spec: TokenSpec, network: DiscreteVAE) -> Tokenizer:
    """Make a tokenizer of the network."""
    return DiscreteVAETokenizer(spec, network)
