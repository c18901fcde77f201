# /// script
# requires-python = ">=3.10"
# dependencies = ["torch>=2.5", "numpy", "timm", "einops", "pyyaml"]
#
# [tool.tokbench]
# kind = "discrete"
# resolution = 256
# stride = 256
# license = "LicenseRef-Adobe-Research"
# source = "https://github.com/lxa9867/ImageFolder"
# revision = "76ddfb9a65912f01a74f864a17ee2f344cca33c5"
# trained_on = ["imagenet-train"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/lxa9867/ImageFolder"
# commit = "76ddfb9a65912f01a74f864a17ee2f344cca33c5"
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-vq-4096"
# description = "XQ-GAN: one codebook of 4096 entries at f16, on DINOv2-B"
# quantizer = "vq"
# vocab = 4096
# tokens = 256
# capabilities = ["codebook", "encoder-features"]
# options.config = "VQ-4096"
# weights = [{ name = "xq-gan-vq-4096", source = "hub:qiuk6/RobustTok@main/XQGAN-4096.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-vq-8192"
# description = "XQ-GAN: one codebook of 8192 entries at f16, on DINOv2-B"
# quantizer = "vq"
# vocab = 8192
# tokens = 256
# capabilities = ["codebook", "encoder-features"]
# options.config = "VQ-8192"
# weights = [{ name = "xq-gan-vq-8192", source = "hub:qiuk6/RobustTok@main/XQGAN-8192.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-vq-4096-lp"
# description = "RobustTok-zero, XQ-GAN trained with perturbed latents: 4096 entries at f16, on DINOv2-B"
# quantizer = "vq"
# vocab = 4096
# tokens = 256
# capabilities = ["codebook", "encoder-features"]
# options.config = "RobustTok"
# weights = [{ name = "xq-gan-vq-4096-lp", source = "hub:qiuk6/RobustTok@main/RobustTok-zero.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-vp2-4096"
# description = "XQ-GAN: two codebooks of 4096 entries side by side at f16, on DINOv2-B"
# quantizer = "product"
# vocab = 4096
# codebooks = 2
# tokens = 256
# capabilities = ["codebook", "encoder-features"]
# verified = ["contract"]
# options.config = "VP2-4096"
# weights = [{ name = "xq-gan-vp2-4096", source = "hub:qiuk6/XQ-GAN@main/vq-4096/best_ckpt.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-vp2-16384"
# description = "XQ-GAN: two codebooks of 16384 entries side by side at f16, on DINOv2-B"
# quantizer = "product"
# vocab = 16384
# codebooks = 2
# tokens = 256
# capabilities = ["codebook", "encoder-features"]
# options.config = "VP2-16384"
# weights = [{ name = "xq-gan-vp2-16384", source = "hub:qiuk6/XQ-GAN@main/vq-16384/best_ckpt.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-msvr10p2-4096"
# description = "XQ-GAN (ImageFolder): two branches of ten scales up to 11×11, 4096 entries, on DINOv2-B"
# quantizer = "residual"
# vocab = 4096
# codebooks = 2
# tokens = 286
# capabilities = ["codebook", "variable-length"]
# verified = ["contract"]
# options.config = "MSVR10P2-4096"
# options.lengths = [6, 15, 24, 40, 65, 101, 165, 286]
# weights = [{ name = "xq-gan-msvr10p2-4096", source = "hub:qiuk6/XQ-GAN@main/MSVR10P2-4096/best_ckpt.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-msvr10p2-8192"
# description = "XQ-GAN (ImageFolder): two branches of ten scales up to 11×11, 8192 entries, on DINOv2-B"
# quantizer = "residual"
# vocab = 8192
# codebooks = 2
# tokens = 286
# capabilities = ["codebook", "variable-length"]
# options.config = "MSVR10P2-8192"
# options.lengths = [6, 15, 24, 40, 65, 101, 165, 286]
# weights = [{ name = "xq-gan-msvr10p2-8192", source = "hub:qiuk6/XQ-GAN@main/MSVR10P2-8192/best_ckpt.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-msvr10p2-16384"
# description = "XQ-GAN (ImageFolder): two branches of ten scales up to 11×11, 16384 entries, on DINOv2-B"
# quantizer = "residual"
# vocab = 16384
# codebooks = 2
# tokens = 286
# capabilities = ["codebook", "variable-length"]
# options.config = "MSVR10P2-16384"
# options.lengths = [6, 15, 24, 40, 65, 101, 165, 286]
# weights = [{ name = "xq-gan-msvr10p2-16384", source = "hub:qiuk6/XQ-GAN@main/MSVR10P2-16384/best_ckpt.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-msvr10p2-4096-imed"
# description = "XQ-GAN (ImageFolder) fitted on IMed-361M: two branches of ten scales, 4096 entries"
# quantizer = "residual"
# vocab = 4096
# codebooks = 2
# tokens = 286
# capabilities = ["codebook", "variable-length"]
# trained_on = ["imed361m"]
# options.config = "MSVR10P2-4096"
# options.lengths = [6, 15, 24, 40, 65, 101, 165, 286]
# weights = [{ name = "xq-gan-msvr10p2-4096-imed", source = "hub:qiuk6/XQ-GAN@main/IMed-MSVR10P2-4096/IMed361M.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-msvr10p2-4096-laion"
# description = "XQ-GAN (ImageFolder) fitted on LAION-400M: two branches of ten scales, 4096 entries"
# quantizer = "residual"
# vocab = 4096
# codebooks = 2
# tokens = 286
# capabilities = ["codebook", "variable-length"]
# trained_on = ["laion400m"]
# options.config = "MSVR10P2-4096"
# options.lengths = [6, 15, 24, 40, 65, 101, 165, 286]
# weights = [{ name = "xq-gan-msvr10p2-4096-laion", source = "hub:qiuk6/XQ-GAN@main/LAION-MSVR10P2-4096/laion.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-msbr10p2-4096"
# description = "XQ-GAN: two branches of ten scales up to 11×11, ids of 12 signs, on DINOv2-B"
# quantizer = "residual"
# vocab = 4096
# codebooks = 2
# tokens = 286
# capabilities = ["variable-length"]
# options.config = "MSBR10P2-4096"
# options.lengths = [6, 15, 24, 40, 65, 101, 165, 286]
# weights = [{ name = "xq-gan-msbr10p2-4096", source = "hub:qiuk6/XQ-GAN@main/MSBR10P2-4096/best_ckpt.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "xq-gan-msbr10p2-16384"
# description = "XQ-GAN: two branches of ten scales up to 11×11, ids of 14 signs, on DINOv2-B"
# quantizer = "residual"
# vocab = 16384
# codebooks = 2
# tokens = 286
# capabilities = ["variable-length"]
# options.config = "MSBR10P2-16384"
# options.lengths = [6, 15, 24, 40, 65, 101, 165, 286]
# weights = [{ name = "xq-gan-msbr10p2-16384", source = "hub:qiuk6/XQ-GAN@main/MSBR10P2-16384/best_ckpt.pt" }]
# ///
"""XQ-GAN (Li et al., arXiv 2412.01762) and ImageFolder (Li et al., arXiv 2410.01756): product and residual quantisers.

A DINOv2 encoder turns learned queries into one square of vectors a branch. Ids of ten scales stand coarse to fine in
one row; training dropped scales from the third on, so codes can be cut there. Research licence, not commercial.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class XQGAN:
    """Ids of one or two branches, each of one scale or of ten."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind
        self.branches = list(model.quantizes) if spec.codebooks > 1 else [model.quantize]
        self.sides = tuple(model.v_patch_nums)

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, positions]``, or ``[n, 2, positions]``."""
        rows = []
        for branch, vectors in zip(self.branches, self._vectors(images), strict=True):
            scales = branch.f_to_idxBl_or_fhat(vectors, to_fhat=False, v_patch_nums=None)
            rows.append(torch.cat([ids.reshape(len(images), -1) for ids in scales], dim=1))
        return Codes(ids=rows[0] if len(rows) == 1 else torch.stack(rows, dim=1))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``; `codes` may end after any scale."""
        ids = codes.ids if codes.ids.dim() == 3 else codes.ids.unsqueeze(1)
        parts = [
            self._assemble(branch, row) for branch, row in zip(self.branches, ids.unbind(1), strict=True)
        ]
        return (self.model.fhat_to_img(torch.cat(parts, dim=1).to(self.kind)).float() + 1) / 2

    def _vectors(self, images: Tensor) -> Sequence[Tensor]:
        """Return a square of vectors a branch, ``[n, dim, side, side]``."""
        out = self.model.encode((images * 2 - 1).to(self.kind))
        side = self.sides[-1]
        return [part.reshape(*part.shape[:2], side, side) for part in out.chunk(len(self.branches), dim=2)]

    def _assemble(self, branch: Any, ids: Tensor) -> Tensor:
        """Turn ids ``[n, positions]`` of one branch into the decoder's input ``[n, dim, side, side]``."""
        if len(self.sides) == 1:
            vectors = F.normalize(branch.embedding(ids), dim=-1)
            return vectors.transpose(1, 2).reshape(len(ids), -1, self.sides[0], self.sides[0])
        scales: list[Tensor] = []
        given = 0
        for index, side in enumerate(self.sides):
            one = ids[:, :1].expand(-1, side * side)  # stands where the code was cut, and is not looked at
            if ids.shape[1] > (start := sum(each**2 for each in self.sides[:index])):
                one, given = ids[:, start : start + side * side], index
            one = one.reshape(-1, side, side)
            vectors = (
                branch.embedding(one) if hasattr(branch, "embedding") else branch.indices_to_bits(one, index)
            )
            scales.append(vectors.permute(0, 3, 1, 2))
        return branch.embed_to_fhat(scales, all_to_max_scale=True, last_one=False)[given]


class OneScale(XQGAN):
    """Unit vectors on a square of 16×16."""

    def codebook(self) -> Tensor:
        """Return the entries, ``[vocab, dim]`` or ``[2, vocab, dim]``."""
        books = torch.stack([F.normalize(branch.embedding.weight, dim=-1) for branch in self.branches])
        return books[0] if len(books) == 1 else books

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return what the first quantiser is given, ``[n, positions, dim]``."""
        return F.normalize(self._vectors(images)[0], dim=1).flatten(2).transpose(1, 2)


class TenScales(XQGAN):
    """Two branches of ten scales, each coded by its signs."""

    def lengths(self) -> tuple[int, ...]:
        """Return the positions of the first 3, 4, … and all ten scales."""
        return tuple(self.spec.options["lengths"])

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the first scales of both branches."""
        return Codes(ids=codes.ids[:, :, :length])


class TenScalesOfEntries(TenScales):
    """Two branches of ten scales, each coded by entries of a book."""

    def codebook(self) -> Tensor:
        """Return the entries, ``[2, vocab, dim]``."""
        return torch.stack([branch.embedding.weight for branch in self.branches])


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from their configuration, without what guides its training."""
    import yaml

    stand_in("peft", "datasets.build")
    from timm.models import create_model
    from tokenizer.tokenizer_image.dino_enc import dinov2
    from tokenizer.tokenizer_image.xqgan_model import ModelArgs, VQModel

    def untrained(*names: str, pretrained: bool, **settings: Any) -> Any:
        return create_model(*names, pretrained=False, **settings)

    settings = yaml.safe_load((source / f"configs/{spec.options['config']}.yaml").read_text())
    settings |= {"semantic_guide": "none", "detail_guide": "none"}
    known = {each.name for each in dataclasses.fields(ModelArgs)}
    # DINOv2's own weights are where training began; the checkpoint has all of the towers.
    with mock.patch.object(dinov2, "create_model", untrained):
        model = VQModel(ModelArgs(**{name: value for name, value in settings.items() if name in known}))
    if weights:
        path = weights[spec.name]
        guides = ("semantic_model.", "semantic_loss.", "sem_linear.", "detail_model.", "detail_loss.")
        load_needed(model, load_checkpoint(path), path, guides)
    ten = TenScalesOfEntries if "codebook" in spec.capabilities else TenScales
    wrap = ten if len(model.v_patch_nums) > 1 else OneScale
    return wrap(spec, model.to(device, dtype).eval(), dtype)
