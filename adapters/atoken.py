# /// script
# requires-python = ">=3.10"
# dependencies = ["torch>=2.1", "numpy", "einops", "diffusers", "pyyaml"]
#
# [tool.tokbench]
# resolution = 256
# any_size = true
# stride = 16
# tokens = 256
# license = "LicenseRef-Apple-Sample-Code AND LicenseRef-Apple-ML-Research-Model-TOU"
# source = "https://github.com/apple/ml-atoken"
# revision = "3f5afdc1256e9baa53fc6cab5381d6215f5a4455"
#
# [tool.tokbench.environment]
# repository = "https://github.com/apple/ml-atoken"
# commit = "3f5afdc1256e9baa53fc6cab5381d6215f5a4455"
#
# [[tool.tokbench.tokenizers]]
# name = "atoken-so-c"
# description = "AToken-So/C for images, videos and 3D: 48 channels at f16, from SigLIP2 So400M"
# kind = "continuous"
# channels = 48
# options.config = "atoken-soc"
# weights = [{ name = "atoken-so-c", source = "https://ml-site.cdn-apple.com/models/atoken/atoken-soc.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "atoken-so-c-s1"
# description = "AToken-So/C after its first stage, on images alone: 32 channels at f16"
# kind = "continuous"
# channels = 32
# options.config = "atoken-soc-s1"
# weights = [{ name = "atoken-so-c-s1", source = "https://ml-site.cdn-apple.com/models/atoken/atoken-soc-s1.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "atoken-so-c-s2"
# description = "AToken-So/C after its second stage, on images and videos: 48 channels at f16"
# kind = "continuous"
# channels = 48
# options.config = "atoken-soc"
# weights = [{ name = "atoken-so-c-s2", source = "https://ml-site.cdn-apple.com/models/atoken/atoken-soc-s2.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "atoken-so-d"
# description = "AToken-So/D for images, videos and 3D: eight FSQ ids of 4096 a position at f16"
# kind = "discrete"
# vocab = 4096
# codebooks = 8
# quantizer = "fsq"
# options = { config = "atoken-sod", levels = [4, 4, 4, 4, 4, 4] }
# weights = [{ name = "atoken-so-d", source = "https://ml-site.cdn-apple.com/models/atoken/atoken-sod.pt" }]
# ///
"""AToken (Lu et al., arXiv 2509.14476): a transformer over patches of 4×16×16; an image is the first of four frames.

Pixels are in [-1, 1]. Latents are the means; the authors' own script draws around them. Their attention calls
flash-attn, which has no CPU and no float32: torch's attention stands for its three functions. Weights are for research
only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


def attend(q: Tensor, k: Tensor, v: Tensor, starts_q: Tensor, starts_k: Tensor, *longest: int) -> Tensor:
    """Attend within each of several sequences that lie one behind the other.

    Args:
        q: ``[rows, heads, dim]``; `k` and `v` likewise.
        k: keys.
        v: values.
        starts_q: where the sequences of `q` start, and the end.
        starts_k: the same of `k` and `v`.
        longest: what flash-attn plans its work by; not needed.

    Returns:
        ``[rows, heads, dim]``.
    """
    sizes_q, sizes_k = (starts.diff().tolist() for starts in (starts_q, starts_k))
    rows = zip(q.split(sizes_q), k.split(sizes_k), v.split(sizes_k), strict=True)
    each = (F.scaled_dot_product_attention(*(part.transpose(0, 1) for part in row)) for row in rows)
    return torch.cat([out.transpose(0, 1) for out in each])


def attend_packed(qkv: Tensor, starts: Tensor, longest: int) -> Tensor:
    """Attend with q, k and v in one tensor ``[rows, 3, heads, dim]``."""
    return attend(*qkv.unbind(1), starts, starts)


def attend_half_packed(q: Tensor, kv: Tensor, starts_q: Tensor, starts_k: Tensor, *longest: int) -> Tensor:
    """Attend with k and v in one tensor ``[rows, 2, heads, dim]``."""
    return attend(q, *kv.unbind(1), starts_q, starts_k)


class AToken:
    """Latents, or ids of eight codebooks, on a grid of patches of 16×16."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return latents ``[n, channels, h, w]``, or ids ``[n, 8, h, w]``."""
        from atoken_inference.model.utils import image_to_sparse

        n, _, height, width = images.shape
        pixels = (images * 2 - 1).to(self.kind).permute(0, 2, 3, 1)
        rows = torch.cat([image_to_sparse(image, self.model.patch_size)[0] for image in pixels])
        grid = (n, height // 16, width // 16)
        moments = self.model.encode(self._sparse(rows, grid), normalize=True)[0].feats
        if self.spec.kind == "continuous":
            return Codes(latents=_on_grid(moments.chunk(2, dim=1)[0].float(), grid))
        ids = self.model.quantizer(moments[:, : self.model.quantizer_feature_dim])[1]
        return Codes(ids=_on_grid(ids, grid))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 16 h, 16 w]``."""
        from atoken_inference.model.utils import sparse_to_img_list

        given = codes.latents if codes.latents is not None else codes.ids
        n, _, height, width = given.shape
        rows = given.permute(0, 2, 3, 1).flatten(0, 2)
        if codes.ids is not None:
            rows = self.model.quantizer.indices_to_codes(rows)
        sparse = self._sparse(rows.to(self.kind), (n, height, width))
        frames = self.model.decode(sparse, training=False).sample
        images = sparse_to_img_list(frames, self.model.patch_size, task_types=["image"] * n)
        return (torch.cat(images).float() + 1) / 2

    def _sparse(self, rows: Tensor, grid: tuple[int, int, int]) -> Any:
        """Give each row its place: image, frame 0, row, column, depth 0."""
        from atoken_inference.model.basic import SparseTensor

        places = torch.cartesian_prod(*(torch.arange(side) for side in (grid[0], 1, *grid[1:], 1)))
        return SparseTensor(rows, places.int().to(rows.device))


def _on_grid(rows: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Return rows ``[n h w, c]`` as ``[n, c, h, w]``."""
    return rows.view(*grid, -1).permute(0, 3, 1, 2)


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from their configuration."""
    import yaml

    # diffusers looks for flash-attn while it is imported: that comes before anything stands for it.
    import_module("diffusers.models.autoencoders.vae")
    import_module("diffusers.loaders.single_file_model")
    stand_in("atoken_inference.model.sparse_preprocessors")
    stand_in(
        "flash_attn",
        flash_attn_varlen_func=attend,
        flash_attn_varlen_qkvpacked_func=attend_packed,
        flash_attn_varlen_kvpacked_func=attend_half_packed,
    )
    from atoken_inference.model.autoencoder_kl import AutoencoderKL

    config = yaml.safe_load((source / f"configs/{spec.options['config']}.yaml").read_text())
    model = AutoencoderKL(**config["model"]["model_cfg"]["arch_cfg"])
    if weights:
        path = weights[spec.name]
        load_needed(model, load_checkpoint(path), path)
    return AToken(spec, model.to(device, dtype).eval(), dtype)
