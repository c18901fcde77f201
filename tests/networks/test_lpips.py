"""LPIPS must be the lpips package's own number, from the same files and without its downloads."""

from types import SimpleNamespace

import lpips
import pytest
import torch
import torchvision

from tokbench.errors import SetupError
from tokbench.metrics.perceptual import distance
from tokbench.networks.lpips import LPIPS_ALEX, LPIPS_ALEX_VTBENCH, LPIPS_VGG
from tokbench.weights import resolve

CPU = torch.device("cpu")


@pytest.fixture(params=[(LPIPS_ALEX, "alex", "alexnet"), (LPIPS_VGG, "vgg", "vgg16")], ids=["alex", "vgg"])
def pair(request, tmp_path, images, monkeypatch):
    """Both implementations on the same seeded trunk, and what the package says."""
    evaluator, net, model_name = request.param
    torch.manual_seed(3)
    if model_name == "alexnet":
        features = torchvision.models.alexnet(weights=None).features
    else:
        features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    model = SimpleNamespace(features=features)
    path = tmp_path / f"{model_name}.pth"
    torch.save({f"features.{name}": value for name, value in features.state_dict().items()}, path)
    # The package builds its trunk through this module; handing it ours keeps its own code in charge of the rest.
    monkeypatch.setattr(lpips.pretrained_networks.tv, model_name, lambda **_: model)
    theirs = lpips.LPIPS(net=net, version="0.1", pretrained=False, pnet_rand=True, verbose=False)
    head = resolve(evaluator.weights[1], {})
    theirs.load_state_dict(torch.load(head, map_location="cpu", weights_only=True), strict=False)
    theirs.eval()
    ours = evaluator.load({evaluator.weights[0].name: path, evaluator.weights[1].name: head}, CPU)
    x, y = images
    with torch.inference_mode():
        wanted = theirs(x / 127.5 - 1, y / 127.5 - 1).flatten().double().numpy()
    return ours, wanted


def test_equals_the_lpips_package(pair, images):
    ours, wanted = pair
    got = distance(*(ours(side) for side in images))
    assert wanted.min() > 1e-4
    # Both work in float32; the maps are divided, weighted and added in another order.
    assert got == pytest.approx(wanted, rel=1e-5)
    assert distance(ours(images[0]), ours(images[0])).max() == 0


def test_vtbenchs_lpips_is_torchmetrics_unnormalised_call(tmp_path, images):
    from torchmetrics.functional.image.lpips import _LPIPS
    from torchvision.transforms.functional import resize, to_pil_image, to_tensor

    torch.manual_seed(4)
    theirs = _LPIPS(net="alex", pretrained=True, pnet_rand=True).eval()
    trunk = {
        f"features.{name}": value
        for part in (
            theirs.net.slice1,
            theirs.net.slice2,
            theirs.net.slice3,
            theirs.net.slice4,
            theirs.net.slice5,
        )
        for name, value in part.state_dict().items()
    }
    path = tmp_path / "alexnet.pth"
    torch.save(trunk, path)
    head = resolve(LPIPS_ALEX_VTBENCH.weights[1], {})
    ours = LPIPS_ALEX_VTBENCH.load({"alexnet": path, "lpips-alex-head": head}, CPU)
    x, y = (
        torch.stack([to_tensor(resize(to_pil_image(image), [256, 256])) for image in side]) for side in images
    )
    with torch.inference_mode():
        wanted = theirs(x, y, normalize=False).flatten().double().numpy()
    assert wanted.min() > 1e-5
    assert distance(*(ours(side) for side in images)) == pytest.approx(wanted, rel=1e-4)


def test_wrong_trunk_is_refused(tmp_path):
    path = tmp_path / "wrong.pth"
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(SetupError, match="not those of torchvision"):
        LPIPS_ALEX.load({"alexnet": path, "lpips-alex-head": path}, CPU)


def test_negative_heads_are_refused(tmp_path):
    trunk, head = tmp_path / "trunk.pth", tmp_path / "head.pth"
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), trunk)
    torch.save({f"lin{layer}.model.1.weight": -torch.ones(1, 64, 1, 1) for layer in range(5)}, head)
    with pytest.raises(SetupError, match="negative weights"):
        LPIPS_ALEX.load({"alexnet": trunk, "lpips-alex-head": head}, CPU)
