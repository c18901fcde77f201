"""The text tower of CLIP (Radford et al., arXiv 2103.00020): the hidden states of a caption."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tokbench.errors import MissingPackageError, SetupError
from tokbench.nn.transformer import ResidualAttentionBlock

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD_WIDTH = 64
_START, _END = 49406, 49407
"""Ids around a text; what follows is 0."""


class _CausalBlock(ResidualAttentionBlock):
    """Tokens see those before them and themselves."""

    def read(self, x: Tensor, future: Tensor) -> Tensor:
        """Map ``[n, length, width]`` to the same shape; `future` is true where a row may not look."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, attn_mask=future, need_weights=False)[0]
        inner = self.mlp[0](self.ln_2(x))
        # OpenAI's own weights want this approximation of GELU.
        read: Tensor = x + self.mlp[2](inner * torch.sigmoid(1.702 * inner))
        return read


class _Blocks(nn.Module):
    """The blocks, under the name that open_clip gives them."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_CausalBlock(width, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        for block in self.resblocks:
            assert isinstance(block, _CausalBlock)
            x = block.read(x, future)
        return x


class TextTower(nn.Module):
    """Words, positions, blocks that look back only, and a last layer norm; names are those of open_clip.

    Args:
        vocab: number of words.
        context: tokens of a text.
        width: channels.
        layers: blocks.
        heads: attention heads.
    """

    def __init__(self, vocab: int, context: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab, width)
        self.positional_embedding = nn.Parameter(torch.zeros(context, width))
        self.transformer = _Blocks(width, heads, layers)
        self.ln_final = nn.LayerNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the hidden states ``[n, context, width]`` of ids ``[n, context]``."""
        states: Tensor = self.ln_final(
            self.transformer(self.token_embedding(ids) + self.positional_embedding)
        )
        return states


def caption_states(published: Mapping[str, Tensor], caption: str) -> Tensor:
    """Compute what TA-TiTok reads of a caption.

    Args:
        published: tensors of a CLIP model of OpenAI's under the names of open_clip; its image tower is passed over.
        caption: any text; longer than the context is cut.

    Returns:
        float32 ``[context, width]``.

    Raises:
        MissingPackageError: the caption is not empty and open_clip, which knows the words, is not installed.
        SetupError: the tensors are not those of such a model.
    """
    own = {
        name: value.float()
        for name, value in published.items()
        if name.startswith(("token_embedding.", "positional_embedding", "transformer.", "ln_final."))
    }
    try:
        vocab, width = own["token_embedding.weight"].shape
        context = len(own["positional_embedding"])
        layers = len({name.split(".")[2] for name in own if name.startswith("transformer.resblocks.")})
        with torch.device("meta"):
            tower = TextTower(vocab, context, width, layers, width // _HEAD_WIDTH)
        tower.load_state_dict(own, assign=True)
    except (KeyError, RuntimeError) as error:
        raise SetupError(
            f"the weights of CLIP's text tower do not fit: {str(error).splitlines()[0]}",
            hint="tokbench fetch clip-l14-336",
        ) from error
    with torch.inference_mode():
        states: Tensor = tower.eval()(_ids(caption, context))[0]
    return states.clone()


def _ids(caption: str, context: int) -> Tensor:
    if not caption:
        return torch.tensor([[_START, _END] + [0] * (context - 2)])
    try:
        import open_clip  # type: ignore[import-untyped, unused-ignore]
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "a caption that is not empty needs the package `open_clip`", hint="pip install 'tokbench[clip]'"
        ) from error
    ids: Tensor = open_clip.tokenize([caption], context)
    return ids
