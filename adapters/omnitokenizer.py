# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.1", "numpy", "einops", "pillow", "timm"]
#
# [tool.tokbench]
# tokens = 1024
# resolution = 256
# stride = 256
# license = "MIT"
# source = "https://github.com/FoundationVision/OmniTokenizer"
# revision = "701b619003b3e941e769269c7626dbf111d0377e"
# trained_on = ["imagenet-train"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/FoundationVision/OmniTokenizer"
# commit = "701b619003b3e941e769269c7626dbf111d0377e"
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-imagenet"
# description = "OmniTokenizer fitted on ImageNet: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# options = { temporal_patch_size = 2, spatial_pos = "rel" }
# weights = [
#   { name = "omnitokenizer-imagenet", source = "hub:Daniel0724/OmniTokenizer@main/imagenet_only.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-celebahq"
# description = "OmniTokenizer fitted on CelebA-HQ: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["celeba-hq"]
# options = { temporal_patch_size = 2, spatial_pos = "rel" }
# weights = [
#   { name = "omnitokenizer-celebahq", source = "hub:Daniel0724/OmniTokenizer@main/celebahq.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-ffhq"
# description = "OmniTokenizer fitted on FFHQ: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["ffhq"]
# options = { temporal_patch_size = 2, spatial_pos = "rel" }
# weights = [
#   { name = "omnitokenizer-ffhq", source = "hub:Daniel0724/OmniTokenizer@main/ffhq.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-imagenet-ucf"
# description = "OmniTokenizer fitted on ImageNet and UCF-101: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["imagenet-train", "ucf101"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-imagenet-ucf", source = "hub:Daniel0724/OmniTokenizer@main/imagenet_ucf.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-imagenet-k600"
# description = "OmniTokenizer fitted on ImageNet and Kinetics-600: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["imagenet-train", "kinetics-600"]
# verified = ["contract"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-imagenet-k600", source = "hub:Daniel0724/OmniTokenizer@main/imagenet_k600.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-imagenet-mit"
# description = "OmniTokenizer fitted on ImageNet and Moments in Time: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["imagenet-train", "moments-in-time"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-imagenet-mit", source = "hub:Daniel0724/OmniTokenizer@main/imagenet_mit.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-imagenet-sthv2"
# description = "OmniTokenizer fitted on ImageNet and Something-Something v2: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["imagenet-train", "something-something-v2"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-imagenet-sthv2", source = "hub:Daniel0724/OmniTokenizer@main/imagenet_sthv2.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-celebahq-ucf"
# description = "OmniTokenizer fitted on CelebA-HQ and UCF-101: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["celeba-hq", "ucf101"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-celebahq-ucf", source = "hub:Daniel0724/OmniTokenizer@main/celebahq_ucf.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-celebahq-k600"
# description = "OmniTokenizer fitted on CelebA-HQ and Kinetics-600: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["celeba-hq", "kinetics-600"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-celebahq-k600", source = "hub:Daniel0724/OmniTokenizer@main/celebahq_k600.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-ffhq-ucf"
# description = "OmniTokenizer fitted on FFHQ and UCF-101: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["ffhq", "ucf101"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-ffhq-ucf", source = "hub:Daniel0724/OmniTokenizer@main/ffhq_ucf.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-ffhq-k600"
# description = "OmniTokenizer fitted on FFHQ and Kinetics-600: 8192 entries at f8"
# kind = "discrete"
# vocab = 8192
# capabilities = ["codebook", "encoder-features"]
# trained_on = ["ffhq", "kinetics-600"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-ffhq-k600", source = "hub:Daniel0724/OmniTokenizer@main/ffhq_k600.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-imagenet-ucf-vae"
# description = "OmniTokenizer's VAE fitted on ImageNet and UCF-101: 8 channels at f8"
# kind = "continuous"
# channels = 8
# trained_on = ["imagenet-train", "ucf101"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-imagenet-ucf-vae", source = "hub:Daniel0724/OmniTokenizer@main/imagenet_ucf_vae.ckpt" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "omnitokenizer-imagenet-k600-vae"
# description = "OmniTokenizer's VAE fitted on ImageNet and Kinetics-600: 8 channels at f8"
# kind = "continuous"
# channels = 8
# trained_on = ["imagenet-train", "kinetics-600"]
# options = { temporal_patch_size = 4, spatial_pos = "rope" }
# weights = [
#   { name = "omnitokenizer-imagenet-k600-vae", source = "hub:Daniel0724/OmniTokenizer@main/imagenet_k600_vae.ckpt" },
# ]
# ///
"""OmniTokenizer (Wang et al., arXiv 2406.09399): a transformer over 8×8 patches of images and videos; here, images.

Pixels are in [-0.5, 0.5]. Encoder outputs have unit length, entries have not: ids are those of the nearest entry. The
VAE's latents are the means. The settings are the scripts' that evaluate each checkpoint.
"""

from __future__ import annotations

import argparse
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_FLAGS = """--patch_embed linear --patch_size 8 --spatial_depth 4 --temporal_depth 4 --enc_block ttww --dec_block tttt
--twod_window_size 8 --causal_in_temporal_transformer --causal_in_peg --dim_head 64 --heads 8 --codebook_dim 8 --l2_code
--commitment_weight 1.0"""


class OmniTokenizer:
    """Ids on a grid of 32×32."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 32, 32]``."""
        return Codes(ids=self.model.encode(self._pixels(images), is_image=True).squeeze(1))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        return self.model.decode(codes.ids.unsqueeze(1), is_image=True).squeeze(2).float() + 0.5

    def codebook(self) -> Tensor:
        """Return the entries, ``[8192, 8]``."""
        return self.model.codebook.embeddings

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return what the quantiser compares with the entries, ``[n, 32, 32, 8]``."""
        return F.normalize(_encoded(self.model, self._pixels(images)), dim=1).permute(0, 2, 3, 1)

    def _pixels(self, images: Tensor) -> Tensor:
        return (images - 0.5).to(self.kind)


class OmniVAE:
    """Latents of 8 channels on a grid of 32×32."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return the means ``[n, 8, 32, 32]``."""
        return Codes(latents=_encoded(self.model, (images - 0.5).to(self.kind)).chunk(2, dim=1)[0].float())

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        return self.model.decode(codes.latents.to(self.kind), is_image=True).squeeze(2).float() + 0.5


def _encoded(model: Any, pixels: Tensor) -> Tensor:
    """Return the encoder's output before quantisation or sampling, ``[n, dim, 32, 32]``."""
    return model.pre_vq_conv(model.encoder(pixels, True)).squeeze(2)


class _Module(torch.nn.Module):
    """Stands for Lightning's module, which only training uses."""

    def save_hyperparameters(self) -> None:
        """Do nothing."""


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model with the flags of their evaluation, without losses and discriminators."""
    package = ModuleType("OmniTokenizer")  # its own __init__ imports data loaders
    package.__path__ = [str(source / "OmniTokenizer")]
    sys.modules["OmniTokenizer"] = package
    nothing = torch.nn.Identity
    stand_in("imageio", "fairscale", "fairscale.nn", "OmniTokenizer.quantizer.vector_quantize_pytorch")
    stand_in("beartype", beartype=lambda function: function)
    stand_in("pytorch_lightning", LightningModule=_Module)
    stand_in("OmniTokenizer.modules.lpips", "OmniTokenizer.modules.discriminator", LPIPS=nothing)
    stand_in(
        "OmniTokenizer.base", Normalize=nothing, NLayerDiscriminator=nothing, NLayerDiscriminator3D=nothing
    )
    from OmniTokenizer.omnitokenizer import VQGAN

    parser = VQGAN.add_model_specific_args(argparse.ArgumentParser(add_help=False))
    settings = parser.parse_args(_FLAGS.split())
    given = {"resolution": 256, "sequence_length": 17, "image_channels": 3, "norm_type": "batch"}
    given |= {"embedding_dim": 512, "n_codes": 8192, "no_random_restart": True, "restart_thres": 1.0}
    given |= {"temporal_patch_size": spec.options["temporal_patch_size"]}
    given |= {"spatial_pos": spec.options["spatial_pos"], "use_vae": spec.kind == "continuous"}
    given |= dict.fromkeys(("disc_channels", "disc_layers", "disc_loss_type", "apply_allframes"))
    given |= dict.fromkeys(("gan_feat_weight", "image_gan_weight", "video_gan_weight"), 0.0)
    given |= dict.fromkeys(("perceptual_weight", "l1_weight"), 0.0)
    model = VQGAN(argparse.Namespace(**{**vars(settings), **given}))
    if weights:
        path = weights[spec.name]
        unused = ("image_discriminator.", "video_discriminator.", "perceptual_model.")
        load_needed(model, load_checkpoint(path, keys=("state_dict",)), path, unused)
    wrap = OmniTokenizer if spec.kind == "discrete" else OmniVAE
    return wrap(spec, model.to(device, dtype).eval(), dtype)
