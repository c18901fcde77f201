"""The parser on a file made here, and the network against layers applied one by one."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tokbench.errors import SetupError
from tokbench.networks.dlib_file import read_network
from tokbench.networks.dlib_net import DlibFaceNet
from tokbench.networks.face import DLIB_FACE, DlibFace

CPU = torch.device("cpu")


def test_a_file_is_read(weights):
    file = read_network(weights)
    assert file.side == 32
    assert file.mean == (122.5, 117.0, 104.25)
    kinds = [layer.kind for layer in file.layers]
    assert kinds[:4] == ["con", "affine", "relu", "max_pool"]
    assert kinds[-2:] == ["avg_pool", "fc"]
    assert len(kinds) == 4 + 7 + 8 + 8 + 2
    first = file.layers[0]
    assert first.window == (3, 3, 2, 2, 0, 0)
    assert first.weight.shape == (8, 3, 3, 3)
    wanted = np.random.default_rng(3).normal(0, np.sqrt(2 / 27), 8 * 27).astype(np.float32)
    assert np.array_equal(first.weight.ravel(), wanted)
    assert file.layers[-1].weight.shape == (12, 16)


def reference(file, x):
    """Each layer as dlib defines it, nothing folded; sums of unequal maps count what is missing as zero."""
    x = (x - torch.tensor(file.mean).view(1, 3, 1, 1)) / 256
    convolutions, skip = 0, x
    for layer in file.layers:
        weight, bias = (None if each is None else torch.tensor(each) for each in (layer.weight, layer.bias))
        if layer.kind == "con":
            if convolutions % 2:
                skip = x
            convolutions += 1
            x = functional.conv2d(x, weight, bias, layer.window[2:4], layer.window[4:])
        elif layer.kind == "affine":
            x = x * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
        elif layer.kind == "relu":
            x = x.relu()
        elif layer.kind == "max_pool":
            x = functional.max_pool2d(x, layer.window[:2], layer.window[2:4])
        elif layer.kind == "avg_pool" and layer.window[0]:
            skip = functional.avg_pool2d(skip, layer.window[:2], layer.window[2:4])
        elif layer.kind == "avg_pool":
            x = x.mean((2, 3))
        elif layer.kind == "add_prev":
            total = torch.zeros(1, *(max(a, b) for a, b in zip(x.shape[1:], skip.shape[1:], strict=True)))
            for part in (x, skip):
                total[:, : part.shape[1], : part.shape[2], : part.shape[3]] += part
            x = total
        else:
            x = x @ weight
    return x


def test_the_network_is_its_layers(weights):
    file = read_network(weights)
    chips = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    wanted = torch.cat([reference(file, chip[None]) for chip in chips])
    net = DlibFaceNet(file, CPU)
    got = net(chips)
    assert got.shape == (2, net.width) == (2, 16)
    assert wanted.std() > 1e-2
    # float32 with affine layers folded.
    assert got.numpy() == pytest.approx(wanted.numpy(), rel=1e-4, abs=1e-5)


def test_embeddings_depend_on_the_face_alone(weights):
    network = DLIB_FACE.load({"dlib-face": weights}, CPU)
    images = torch.randint(0, 256, (3, 3, 64, 48), generator=torch.Generator().manual_seed(2)).byte()
    face = [[15.0, 20.0], [33.0, 21.0], [24.0, 32.0], [16.0, 42.0], [32.0, 43.0]]
    tilted = [[20.0, 18.0], [38.0, 24.0], [26.0, 34.0], [16.0, 40.0], [31.0, 46.0]]
    together = network.embed(images, [[face], [], [tilted, face]])
    assert together.shape == (3, 16)
    assert together.dtype == np.float32
    arrays = [image.permute(1, 2, 0).numpy() for image in images]
    assert np.array_equal(network.embed(arrays[2:], [[face]])[0], together[2])
    assert not np.array_equal(together[1], together[2])
    assert network.embed(images, [[], [], []]).shape == (0, 16)


def test_every_cut_and_every_flipped_length_is_a_typed_error(weights, tmp_path):
    data = weights.read_bytes()
    path = tmp_path / "damaged.dat"
    for cut in [*range(0, 400, 7), len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:cut])
        with pytest.raises(SetupError, match=r"no dlib network|another shape"):
            DlibFace(path, CPU)
    random = np.random.default_rng(0)
    refused = 0
    for at in random.integers(0, len(data), 120):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            DlibFace(path, CPU)
        except SetupError:
            refused += 1
    assert refused < 120  # most bytes are weights: a changed one is still a network, or not finite


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"loss_metric_2", b"loss_metric_9", "no metric-learning network"),
        (b"input_rgb_image_sized", b"input_rgb_image_sizes", "the input is not"),
        (b"con_4", b"con_7", "a layer `con_7`"),
        (b"max_pool_2\x01\x03", b"max_pool_2\x81\x03", "a window"),
        (b"\x05relu_110", b"\x05relu_1x0", "truth values"),
        (b"\x01\x20\x01\x20", b"\x01\x20\x01\x21", "an input of 32×33 pixels"),
    ],
)
def test_other_files_are_refused_with_the_reason(weights, tmp_path, before, after, reason):
    path = tmp_path / "other.dat"
    path.write_bytes(weights.read_bytes().replace(before, after, 1))
    with pytest.raises(SetupError, match=reason):
        read_network(path)


def test_a_tensor_larger_than_the_file_is_not_allocated(weights, tmp_path):
    data = weights.read_bytes()
    at = data.index(b"con_4") + 5
    huge = b"\x01\x02" + 4 * (b"\x08" + b"\xff" * 7 + b"\x0f")
    path = tmp_path / "huge.dat"
    path.write_bytes(data[:at] + huge + data[at:])
    with pytest.raises(SetupError, match="bytes wanted"):
        read_network(path)


def test_weights_that_are_not_finite_are_refused(weights, tmp_path):
    data = weights.read_bytes()
    at = data.index(b"con_4") + 5 + 10
    path = tmp_path / "nan.dat"
    path.write_bytes(data[:at] + b"\x00\x00\xc0\x7f" + data[at + 4 :])
    with pytest.raises(SetupError, match="not finite"):
        read_network(path)


def test_another_architecture_is_refused(writer, tmp_path):
    path = tmp_path / "shape.dat"
    path.write_bytes(writer().plain("relu_").data())
    with pytest.raises(SetupError, match="another shape"):
        DlibFace(path, CPU)


def test_layers_that_do_not_fit_together_are_refused(writer, tmp_path):
    path = tmp_path / "channels.dat"
    network = writer()
    network.layers[-1] = writer(4).output(13, 16).layers[-1]
    path.write_bytes(network.data())
    with pytest.raises(SetupError, match="do not fit together"):
        DlibFace(path, CPU)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SetupError, match="cannot be read"):
        read_network(tmp_path / "none.dat")
