# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# families = ["taming"]
# license = "MIT"
# source = "https://github.com/CompVis/taming-transformers"
# revision = "3ba01b241669f5ade541ce990f7650a3b8f65318"
# kind = "discrete"
# resolution = 256
# quantizer = "vq"
# any_size = true
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "vqgan-f16-1024"
# verified = ["golden", "keys", "contract"]
# description = "VQGAN of ImageNet: 16×16 pixels an id, 1024 entries, 72 M parameters"
# vocab = 1024
# tokens = 256
# stride = 16
# trained_on = ["imagenet-train"]
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 1024
# embed_dim = 256
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 256
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 2
# attn_resolutions = [16]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "vqgan-f16-1024"
# source = "https://heibox.uni-heidelberg.de/f/140747ba53464f49b476/?dl=1"
# license = "MIT"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "vqgan-f16-16384"
# verified = ["golden", "keys", "contract"]
# description = "VQGAN of ImageNet: 16×16 pixels an id, 16384 entries, 76 M parameters"
# vocab = 16384
# tokens = 256
# stride = 16
# trained_on = ["imagenet-train"]
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 16384
# embed_dim = 256
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 256
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 2
# attn_resolutions = [16]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "vqgan-f16-16384"
# source = "https://heibox.uni-heidelberg.de/f/867b05fc8c4841768640/?dl=1"
# license = "MIT"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "vqgan-gumbel-f8"
# verified = ["golden", "keys", "contract"]
# description = "Gumbel VQGAN of OpenImages: 8×8 pixels an id, 8192 entries, 69 M parameters; argmax instead of a draw"
# vocab = 8192
# tokens = 1024
# stride = 8
# trained_on = ["openimages-train"]
# capabilities = ["codebook"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 8192
# embed_dim = 256
# temperature_scheduler_config = { target = "taming.lr_scheduler.LambdaWarmUpCosineScheduler" }
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 256
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 4]
# num_res_blocks = 2
# attn_resolutions = [32]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "vqgan-gumbel-f8"
# source = "https://heibox.uni-heidelberg.de/f/34a747d5765840b5a99d/?dl=1"
# license = "MIT"
# inside = "state_dict"
# ///
"""VQGAN (Esser et al., arXiv 2012.09841) and its Gumbel variant, on the blocks of diffusers.

Any size that is a multiple of the stride will do. The files are checkpoints of an old PyTorch Lightning that hold an
object beside the tensors, which tokbench refuses to unpickle. Where you trust the file, keep its tensors and pass the
result as ``--weights NAME=PATH``::

    python -c "import torch; torch.save(torch.load('last.ckpt', weights_only=False)['state_dict'], 'vqgan.pt')"

The download links were not reachable when this was written, and the published settings of the Gumbel variant are from
its authors' configuration as remembered by others (`full_keys_vqgan_gumbel_f8_8192.json` says so).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from tokbench.nn.autoencoders import CodebookTokenizer, Coder, discrete_outputs
from tokbench.nn.quantize import VectorQuantizer
from tokbench.nn.taming import ConvAutoencoder, read_layout, signed_golden
from tokbench.nn.taming_names import own_parts, to_diffusers
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


class ScoreQuantizer(nn.Module):
    """A 1×1 convolution scores every entry and the best is taken, as in the authors' evaluation; training draws it."""

    def __init__(self, channels: int, vocab: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, vocab, 1)
        self.embed = nn.Embedding(vocab, dim)

    def ids(self, vectors: torch.Tensor) -> torch.Tensor:
        """Find the ids ``[n, h, w]`` of ``[n, channels, h, w]``, one image at a time: the scores are many."""
        return torch.cat([self.proj(one).argmax(dim=1) for one in vectors.split(1)])

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the entries ``[n, dim, h, w]`` of ``[n, h, w]``."""
        return self.embed(ids).movedim(-1, 1)


class GumbelTokenizer(Coder):
    """Ids are int64 ``[n, h / 8, w / 8]``; what is quantised are scores, so there are no features to compare."""

    def encode(self, images: torch.Tensor) -> Codes:
        """Take the entry of the highest score at each position."""
        return Codes(ids=self._network.quantize.ids(self._features(images)))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Rebuild the images from ids alone."""
        assert codes.ids is not None
        ids = codes.ids.to(self.codebook().device).long()
        return self._pixels(self._network.quantize.lookup(ids))

    def codebook(self) -> torch.Tensor:
        """Return what the decoder is given for each id, ``[vocab, dim]``."""
        return self._network.quantize.embed.weight


def architecture(spec: TokenSpec) -> ConvAutoencoder:
    """Build the network of the official settings; only the Gumbel variant has a temperature and a weight of its own."""
    config = spec.options["config"]
    layout = read_layout(config)
    if config.keys() & {"temperature_scheduler_config", "kl_weight"}:
        return ConvAutoencoder(layout, ScoreQuantizer(layout.z_channels, config["n_embed"], layout.embed_dim))
    return ConvAutoencoder(layout, VectorQuantizer(config["n_embed"], layout.embed_dim))


def convert(state: Mapping[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Rename, and drop the losses."""
    return to_diffusers(own_parts(state))


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    gumbel = isinstance(network.quantize, ScoreQuantizer)
    return GumbelTokenizer(spec, network) if gumbel else CodebookTokenizer(spec, network)


def golden(
    spec: TokenSpec, network: ConvAutoencoder, inputs: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Compute what the golden cases record; before a Gumbel quantiser, the scores."""
    got = signed_golden(discrete_outputs, network, inputs["images"])
    if isinstance(network.quantize, ScoreQuantizer):
        got["pre_quant"] = network.quantize.proj(got["pre_quant"])
    return got
