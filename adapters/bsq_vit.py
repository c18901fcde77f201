# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["bsq_vit"]
# kind = "discrete"
# quantizer = "bsq"
# license = "MIT"
# source = "https://github.com/zhaoyue-zephyrus/bsq-vit"
# revision = "37d212d2b43f1c715c49808dd246ec26f826740f"
# trained_on = ["imagenet-train"]
# stride = 8
# capabilities = ["encoder-features"]
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "bsq-vit-18"
# description = "transformer with binary spherical quantisation, f8, 18 bits a patch, 256×256"
# verified = ["golden", "keys", "contract"]
# vocab = 262144
# tokens = 1024
# resolution = 256
# [tool.tokbench.tokenizers.options.config]
# embed_dim = 18
# l2_norm = true
# post_q_l2_norm = true
# logit_laplace = false
# vitconfig = { image_size = 256, patch_size = 8, width = 768, layers = 12, heads = 12, mlp_ratio = 4 }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "bsq-vit-18"
# source = "https://utexas.box.com/s/nt9g741b1cu4nidygd3a3e26clpemr0n"
# license = "MIT"
# inside = "ema_state_dict"
# select = "module.module."
#
# [[tool.tokbench.tokenizers]]
# name = "bsq-vit-36"
# description = "transformer with binary spherical quantisation, f8, 36 bits a patch, 256×256"
# vocab = 68719476736
# tokens = 1024
# resolution = 256
# [tool.tokbench.tokenizers.options.config]
# embed_dim = 36
# l2_norm = true
# post_q_l2_norm = true
# logit_laplace = false
# vitconfig = { image_size = 256, patch_size = 8, width = 768, layers = 12, heads = 12, mlp_ratio = 4 }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "bsq-vit-36"
# source = "https://utexas.box.com/s/a7w3lw5q4dzxun3ai9uthhc3y8ade0pw"
# license = "MIT"
# inside = "ema_state_dict"
# select = "module.module."
#
# [[tool.tokbench.tokenizers]]
# name = "bsq-vit-18-128"
# description = "transformer with binary spherical quantisation, f8, 18 bits a patch, 128×128; weights not published"
# verified = ["golden", "keys", "contract"]
# vocab = 262144
# tokens = 256
# resolution = 128
# [tool.tokbench.tokenizers.options.config]
# embed_dim = 18
# l2_norm = true
# post_q_l2_norm = true
# logit_laplace = false
# vitconfig = { image_size = 128, patch_size = 8, width = 768, layers = 12, heads = 12, mlp_ratio = 4 }
# ///
"""BSQ-ViT (Zhao et al., arXiv 2406.07548): a transformer whose latents are rounded to corners of a cube on the sphere.

Images have exactly the size of the variant. Ids are int64 ``[n, patches]``, row by row. Of the checkpoint the moving
average of the parameters is taken, which the publishers' own loader tries first. The publishers share the checkpoints
by pages of a file service, from which a browser downloads them: pass the file with ``--weights NAME=PATH``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.errors import SetupError
from tokbench.nn.autoencoders import DiscreteTokenizer
from tokbench.nn.bsq_vit import BSQViT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the autoencoder."""
    return BSQViT(spec.options["config"])


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Leave the powers of two behind that the publishers' quantiser stores.

    Raises:
        SetupError: there are no weights, because the publishers gave none for this variant.
    """
    if not state:
        raise SetupError(
            f"weights of `{spec.name}` are not published",
            hint=f"`tokbench check --random-weights {spec.name}` builds it without",
        )
    return {name: value for name, value in state.items() if not name.startswith("quantize.")}


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    assert isinstance(network, BSQViT)
    if spec.options["config"].get("logit_laplace", False):
        raise SetupError(
            f"`{spec.name}`: images of a logit-Laplace decoder are not supported",
            hint="no published model has one",
        )
    return DiscreteTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the recorded outputs of a case; there, images are in [-1, 1] and channels come last."""
    assert isinstance(network, BSQViT)
    features = network.features((inputs["images"] + 1) / 2)
    ids = network.quantize.ids(features)
    quantized = network.quantize.lookup(ids)
    return {
        "pre_quant": network.quantize.prepare(features).transpose(1, 2),
        "tokens": ids,
        "group_tokens": _in_groups(
            ids, network.quantize.bits, spec.options["config"].get("embed_group_size", 9)
        ),
        "quantized": quantized.transpose(1, 2),
        "decoded": network.decoder(network.post_quant_embed(quantized.transpose(1, 2))),
    }


def _in_groups(ids: Tensor, bits: int, size: int) -> Tensor:
    """Cut ids ``[n, positions]`` into numbers of `size` bits, highest first: ``[n, positions, groups]``."""
    import torch

    shifts = torch.arange(bits - size, -1, -size, device=ids.device)
    return (ids[..., None] >> shifts) & (2**size - 1)
