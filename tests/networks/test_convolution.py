"""The fused convolution: torch's own numbers on every path, whatever the batch and the thread."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from tokbench.networks import convolution
from tokbench.networks.bilinear import resize_like_tensorflow
from tokbench.networks.convolution import Convolution

LAYERS = {
    "3x3": nn.Conv2d(5, 9, 3, padding=1),
    "1x1 without bias": nn.Conv2d(5, 7, 1, bias=False),
    "oblong": nn.Conv2d(5, 8, (1, 7), stride=2, padding=(0, 3)),
    "depthwise": nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6),
}
AFTER = {"none": lambda y: y, "relu": functional.relu, "relu6": functional.relu6}


def maps(channels, n=2, height=13, width=11, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, channels, height, width, generator=random).contiguous(
        memory_format=torch.channels_last
    )


def norm_of(channels):
    norm = nn.BatchNorm2d(channels).eval()
    for value in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(value, 1.0, 0.5)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return norm


@pytest.fixture(params=["fused", "torch"])
def path(request, monkeypatch):
    """Both ways to compute; where oneDNN is not at hand they are the same."""
    if request.param == "torch":
        monkeypatch.setattr(convolution, "_has_onednn", lambda: False)
    return request.param


@pytest.mark.parametrize("activation", AFTER)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
@torch.inference_mode()
def test_is_torchs_convolution_normalisation_sum_and_activation(layer, activation, path):
    torch.manual_seed(2)
    x, norm = maps(layer.in_channels), norm_of(layer.out_channels)
    added = torch.randn_like(layer(x))
    fused = Convolution.of(layer, norm, activation)
    # Float32: the normalisation is multiplied into the weights, so products and sums round elsewhere.
    near = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(fused(x), AFTER[activation](norm(layer(x))), **near)
    torch.testing.assert_close(fused(x, added), AFTER[activation](norm(layer(x)) + added), **near)
    plain = Convolution.of(layer, activation=activation)
    torch.testing.assert_close(plain(x), AFTER[activation](layer(x)), **near)
    assert fused(x).is_contiguous(memory_format=torch.channels_last)


def test_the_fused_operator_is_used_where_it_exists(monkeypatch):
    if not convolution._has_onednn():
        pytest.skip("no oneDNN operator in this torch")
    monkeypatch.setattr(functional, "conv2d", None)
    assert Convolution.of(LAYERS["3x3"])(maps(5)).shape == (2, 9, 13, 11)


@torch.inference_mode()
def test_other_dtypes_go_through_torch():
    layer = LAYERS["oblong"]
    double = Convolution(
        layer.weight.double(), layer.bias.double(), stride=layer.stride, padding=layer.padding
    )
    wanted = functional.conv2d(maps(5).double(), double.weight, double.bias, layer.stride, layer.padding)
    assert torch.equal(double(maps(5).double()), wanted)


@torch.inference_mode()
def test_sizes_beyond_those_packed_give_the_same_bits():
    packed, full = (Convolution.of(LAYERS["3x3"]) for _ in range(2))
    for height in range(3, 3 + convolution._PACKED_SIZES):
        full(maps(5, height=height))
    x = maps(5, 1, 40, 37)
    assert torch.equal(packed(x), full(x))
    assert len(full._packed) <= convolution._PACKED_SIZES


@torch.inference_mode()
def test_an_image_does_not_see_the_batch_nor_other_threads():
    fused = Convolution.of(LAYERS["3x3"], norm_of(9), "relu")
    images = [maps(5, 1, 20 + seed % 3, 19, seed) for seed in range(12)]
    alone = [Convolution.of(LAYERS["3x3"])(image) for image in images]
    plain = Convolution.of(LAYERS["3x3"])

    def look(image):
        with torch.inference_mode():
            return plain(image)

    with ThreadPoolExecutor(4, initializer=torch.set_num_threads, initargs=(1,)) as lanes:
        seen = list(lanes.map(look, images))
    assert all(torch.equal(a, b) for a, b in zip(alone, seen, strict=True))
    assert fused(images[0]).min() == 0


def test_layers_it_cannot_stand_for_are_refused():
    for layer in (nn.Conv2d(2, 2, 3, dilation=2), nn.Conv2d(2, 2, 3, padding="same")):
        with pytest.raises(ValueError, match="not a plain convolution"):
            Convolution.of(layer)
    with pytest.raises(ValueError, match="not frozen"):
        Convolution.of(LAYERS["3x3"], nn.BatchNorm2d(9, track_running_stats=False))


@pytest.mark.parametrize("size", [(256, 256), (299, 299), (31, 470), (1, 2)])
def test_resize_is_torch_fidelitys_to_the_last_bit(size):
    images = torch.randint(
        0, 256, (2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    wanted = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(299, 299), align_corners=False)
    got = resize_like_tensorflow(images, 299)
    assert torch.equal(got, wanted)
    assert got.is_contiguous(memory_format=torch.channels_last)
