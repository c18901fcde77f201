"""DINOv2 from files: timm's network, with the position grid that DINOv2's own code would use."""

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from tokbench.errors import SetupError
from tokbench.networks.dinov2 import DinoV2, positions

timm = pytest.importorskip("timm", reason="timm comes with open-clip-torch, which is not installed")

CPU = torch.device("cpu")
NAME = "vit_small_patch14_dinov2"
SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2}


@pytest.fixture(scope="module")
def stored():
    torch.manual_seed(1)
    model = timm.create_model(NAME, pretrained=False, num_classes=0, **SMALL)
    # The names of DINOv2's own files, which also hold the token of masked patches.
    return {
        **model.state_dict(),
        "pos_embed": torch.randn(1, 1 + 37**2, 32),
        "mask_token": torch.zeros(1, 32),
    }


@pytest.fixture(scope="module")
def path(stored, tmp_path_factory):
    path = tmp_path_factory.mktemp("dinov2") / "dinov2.pth"
    torch.save(stored, path)
    return path


def cubic(distance):
    """Keys' kernel with a = -0.75, torch's choice without antialiasing."""
    x = np.abs(distance)
    near = 1.25 * x**3 - 2.25 * x**2 + 1
    far = -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def axis(grid, side):
    """The weights of one axis, ``[side, grid]``, borders repeated, at the scale (side + 0.1) / grid."""
    weights = np.zeros((side, grid))
    for place in range(side):
        where = (place + 0.5) * grid / (side + 0.1) - 0.5
        for tap in range(int(np.floor(where)) - 1, int(np.floor(where)) + 3):
            weights[place, np.clip(tap, 0, grid - 1)] += cubic(where - tap)
    return weights


def test_positions_are_interpolated_as_dinov2_does(stored):
    grid = stored["pos_embed"][0, 1:].double().numpy().reshape(37, 37, 32)
    weights = axis(37, 16)
    wanted = np.einsum("ia,jb,abd->ijd", weights, weights, grid).reshape(256, 32)
    got = positions(stored["pos_embed"], 16)
    assert torch.equal(got[0, 0], stored["pos_embed"][0, 0])
    # Interpolated in float32.
    assert got[0, 1:].numpy() == pytest.approx(wanted, abs=2e-5)
    assert torch.equal(positions(stored["pos_embed"], 37), stored["pos_embed"])


def test_features_are_timms_class_token(stored, path, images):
    model = timm.create_model(NAME, pretrained=False, img_size=224, num_classes=0, **SMALL).eval()
    ready = {name: value for name, value in stored.items() if name != "mask_token"}
    model.load_state_dict({**ready, "pos_embed": positions(stored["pos_embed"], 16)})
    pictures = [
        tv.resize(tv.to_pil_image(image), [224, 224], InterpolationMode.BICUBIC) for image in images[0]
    ]
    batch = tv.normalize(
        torch.stack([tv.to_tensor(each) for each in pictures]), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    with torch.inference_mode():
        wanted = model.forward_features(batch)[:, 0]
    got = DinoV2(path, CPU, NAME, SMALL)(images[0]).pooled
    assert wanted.std() > 0.1
    assert got.numpy() == pytest.approx(wanted.numpy(), abs=1e-4)


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(SetupError, match="not those of DINOv2"):
        DinoV2(path, CPU, NAME, SMALL)
