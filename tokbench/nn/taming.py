"""The convolutional autoencoder of VQGAN and its descendants, put together from the blocks of diffusers.

No layer is defined here: this reads the authors' settings and asks diffusers for the same network. `taming_names`
brings the published weights to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from tokbench.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True)
class Layout:
    """Sizes of an autoencoder, under the names of the official configurations.

    Attributes:
        ch: channels at full resolution, before the multiplier.
        ch_mult: multiplier of each level, fine to coarse; the stride is 2 to the power of their number less one.
        num_res_blocks: residual blocks of a level in the encoder; the decoder has one more.
        z_channels: channels between encoder or decoder and the 1×1 convolutions around the quantiser.
        embed_dim: channels of a code vector.
        encoder_attention: levels of the encoder whose blocks are followed by self-attention.
        decoder_attention: likewise in the decoder; counted fine to coarse, too.
        mid_attention: whether the coarsest blocks between the levels have it.
        decoder_ch_mult: the decoder's multipliers where they differ, else empty.
        in_channels: channels of an image.
        out_ch: channels of a decoded image.
        norm_num_groups: groups of every group norm.
        double_z: the encoder gives mean and log variance.
        quant_conv_ks: kernel of the convolutions around the quantiser; 0 where there are none.
        spatial: the decoder's norms are modulated by the code vectors (MoVQ, arXiv 2209.09002).
        tanh_out: the decoder ends in tanh.
    """

    ch: int
    ch_mult: tuple[int, ...]
    num_res_blocks: int
    z_channels: int
    embed_dim: int
    encoder_attention: frozenset[int] = frozenset()
    decoder_attention: frozenset[int] = frozenset()
    mid_attention: bool = True
    decoder_ch_mult: tuple[int, ...] = ()
    in_channels: int = 3
    out_ch: int = 3
    norm_num_groups: int = 32
    double_z: bool = False
    quant_conv_ks: int = 1
    spatial: bool = False
    tanh_out: bool = False


def read_layout(config: Mapping[str, Any], **more: Any) -> Layout:
    """Read the ``ddconfig`` and ``embed_dim`` of an official configuration.

    Attention belongs to the levels whose resolution, that of the configuration and not of the image at hand, is in
    ``attn_resolutions``.

    Args:
        config: the ``params`` of the model.
        more: fields of `Layout` that the configuration does not hold.

    Raises:
        SetupError: a setting asks for what the blocks of diffusers do not have.
    """
    details = dict(config["ddconfig"])
    for setting, wanted in (
        ("resamp_with_conv", {True}),
        ("attn_type", {"vanilla", "vanilla-xformers", "none"}),
        ("use_linear_attn", {False}),
        ("give_pre_end", {False}),
    ):
        if setting in details and details[setting] not in wanted:
            raise SetupError(
                f"the setting `ddconfig.{setting}` = {details[setting]!r} cannot be met: diffusers has no such block",
                hint=f"supported: {', '.join(map(repr, sorted(wanted)))}",
            )
    if config.get("remap"):
        raise SetupError(
            "the setting `remap` cannot be met: ids are those of the whole codebook",
            hint="leave it out; the weights are the same",
        )
    multipliers = tuple(details["ch_mult"])
    plain = details.get("attn_type") != "none"
    attention = (
        levels_with_attention(details["resolution"], len(multipliers), details["attn_resolutions"])
        if plain
        else frozenset()
    )
    return Layout(
        ch=details["ch"],
        ch_mult=multipliers,
        num_res_blocks=details["num_res_blocks"],
        z_channels=details["z_channels"],
        embed_dim=config["embed_dim"],
        encoder_attention=attention,
        decoder_attention=attention,
        mid_attention=plain,
        in_channels=details.get("in_channels", 3),
        out_ch=details.get("out_ch", 3),
        norm_num_groups=config.get("_norm_num_groups", 32),
        double_z=details.get("double_z", False),
        tanh_out=details.get("tanh_out", False),
        **more,
    )


def mar_layout(config: Mapping[str, Any]) -> Layout:
    """Read the settings of MAR's KL-16, whose code fixes all others: attention at 16 of 256, in the encoder alone."""
    multipliers = tuple(config["ch_mult"])
    return Layout(
        ch=config.get("ch", 128),
        ch_mult=multipliers,
        num_res_blocks=config.get("num_res_blocks", 2),
        z_channels=config["embed_dim"],
        embed_dim=config["embed_dim"],
        encoder_attention=levels_with_attention(256, len(multipliers), (16,)),
        norm_num_groups=config.get("_norm_num_groups", 32),
        double_z=True,
    )


def levels_with_attention(resolution: int, levels: int, wanted: Iterable[int]) -> frozenset[int]:
    """Return the levels, fine to coarse, whose side ``resolution // 2**level`` is among the `wanted`."""
    return frozenset(level for level in range(levels) if resolution // 2**level in set(wanted))


class ConvAutoencoder(nn.Module):
    """Encoder, the convolutions around the quantiser, and decoder; the quantiser is the caller's.

    Args:
        layout: its sizes.
        quantize: kept under this name, as published; None for continuous latents.

    Raises:
        SetupError: diffusers cannot build it.
    """

    def __init__(self, layout: Layout, quantize: nn.Module | None = None) -> None:
        super().__init__()
        self.layout = layout
        self.encoder = _encoder(layout)
        self.decoder = _decoder(layout)
        both = 2 if layout.double_z else 1
        self.quant_conv = _conv(both * layout.z_channels, both * layout.embed_dim, layout.quant_conv_ks)
        self.post_quant_conv = _conv(layout.embed_dim, layout.z_channels, layout.quant_conv_ks)
        if quantize is not None:
            self.quantize = quantize

    def features(self, images: Tensor) -> Tensor:
        """Turn ``[n, 3, h, w]`` in [0, 1] into what the quantiser is given, ``[n, embed_dim, h/f, w/f]``.

        With ``double_z`` these are means and log variances along the channels.
        """
        features: Tensor = self.quant_conv(self.encoder(images * 2 - 1))
        return features

    def pixels(self, vectors: Tensor) -> Tensor:
        """Turn code vectors ``[n, embed_dim, h/f, w/f]`` into images ``[n, 3, h, w]``, nominally in [0, 1]."""
        images: Tensor = self.decoder(self.post_quant_conv(vectors), vectors if self.layout.spatial else None)
        return ((images.tanh() if self.layout.tanh_out else images) + 1) / 2


def signed_golden(
    outputs: Callable[[ConvAutoencoder, Tensor], dict[str, Tensor]], network: ConvAutoencoder, images: Tensor
) -> dict[str, Tensor]:
    """Compute the outputs of a golden case whose images are in [-1, 1].

    Args:
        outputs: `discrete_outputs` or `latent_outputs` of `tokbench.nn.autoencoders`.
        network: the autoencoder.
        images: as recorded.
    """
    got = outputs(network, (images + 1) / 2)
    return got | {name: value * 2 - 1 for name, value in got.items() if name.startswith("decoded")}


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2) if kernel else nn.Identity()


def _encoder(layout: Layout) -> nn.Module:
    from diffusers.models.autoencoders.vae import Encoder
    from diffusers.models.resnet import ResnetBlock2D

    _refuse_odd(layout, layout.ch_mult)
    levels = range(len(layout.ch_mult))
    kinds = [f"{'Attn' if level in layout.encoder_attention else ''}DownEncoderBlock2D" for level in levels]
    encoder: Any = Encoder(
        in_channels=layout.in_channels,
        out_channels=layout.z_channels,
        down_block_types=tuple(kinds),
        block_out_channels=tuple(layout.ch * factor for factor in layout.ch_mult),
        layers_per_block=layout.num_res_blocks,
        norm_num_groups=layout.norm_num_groups,
        double_z=layout.double_z,
        mid_block_add_attention=layout.mid_attention,
    )
    first = layout.ch * layout.ch_mult[0]
    if first != layout.ch:
        # diffusers starts with the first level's width; here the first level widens.
        encoder.conv_in = _conv(layout.in_channels, layout.ch, 3)
        encoder.down_blocks[0].resnets[0] = ResnetBlock2D(
            in_channels=layout.ch,
            out_channels=first,
            temb_channels=None,  # type: ignore[arg-type, unused-ignore]
            groups=layout.norm_num_groups,
            eps=1e-6,
        )
    network: nn.Module = encoder
    return network


def _decoder(layout: Layout) -> nn.Module:
    from diffusers.models.autoencoders.vae import Decoder

    multipliers = layout.decoder_ch_mult or layout.ch_mult
    _refuse_odd(layout, multipliers)
    if layout.spatial and (layout.embed_dim != layout.z_channels or layout.norm_num_groups != 32):
        raise SetupError(
            f"a spatial norm over {layout.embed_dim} of {layout.z_channels} channels with {layout.norm_num_groups} "
            "groups cannot be met: diffusers has equal channels and 32 groups",
            hint="use the settings of a published MoVQGAN",
        )
    coarse_first = reversed(range(len(multipliers)))
    return Decoder(
        in_channels=layout.z_channels,
        out_channels=layout.out_ch,
        up_block_types=tuple(
            f"{'Attn' if level in layout.decoder_attention else ''}UpDecoderBlock2D" for level in coarse_first
        ),
        block_out_channels=tuple(layout.ch * factor for factor in multipliers),
        layers_per_block=layout.num_res_blocks,
        norm_num_groups=layout.norm_num_groups,
        norm_type="spatial" if layout.spatial else "group",
        mid_block_add_attention=layout.mid_attention,
    )


def _refuse_odd(layout: Layout, multipliers: tuple[int, ...]) -> None:
    widths = {layout.ch * factor for factor in (1, *multipliers)}
    if odd := sorted(width for width in widths if width % layout.norm_num_groups):
        raise SetupError(
            f"{odd[0]} channels cannot be divided into {layout.norm_num_groups} groups",
            hint="settings of a small test network also give `_norm_num_groups`",
        )
