"""CLIP from files: open_clip's own numbers on seeded weights of a small configuration."""

import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from tokbench.errors import SetupError
from tokbench.networks.clip import B32, CLIP_B32, CLIP_L14_336, Clip

open_clip = pytest.importorskip("open_clip", reason="open-clip-torch is not installed")

CPU = torch.device("cpu")
SMALL = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return open_clip.CLIP(**SMALL).eval()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.pt"
    # OpenAI's files carry three numbers beside the weights.
    torch.save({**model.state_dict(), "input_resolution": torch.tensor(32)}, path)
    return path


def test_embeddings_are_open_clips_after_its_own_preprocessing(model, path, images):
    preprocess = open_clip.image_transform(32, is_train=False, resize_mode="squash")
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images[0]]
    with torch.inference_mode():
        wanted = model.encode_image(torch.stack([preprocess(each) for each in pictures]), normalize=True)
    got = Clip(SMALL, path, CPU)(images[0]).pooled
    assert got.numpy() == pytest.approx(wanted.numpy(), abs=1e-5)
    assert got.norm(dim=1).numpy() == pytest.approx(1, abs=1e-6)


def test_the_resize_is_pillows_bicubic(images):
    from tokbench.networks.squash import squash

    image = images[0][:1]
    wanted = tv.pil_to_tensor(tv.resize(tv.to_pil_image(image[0]), [32, 32], InterpolationMode.BICUBIC))
    assert torch.equal(squash(image, 32, "bicubic")[0], wanted)


def test_zero_shot_logits_are_open_clips(model, path, images):
    labels = [f"thing {number}" for number in range(101)]  # more than pass at once
    network = Clip(SMALL, path, CPU, labels)
    embeddings = network(images[0]).pooled
    with torch.inference_mode():
        text = model.encode_text(
            open_clip.tokenize([f"a photo of a {each}." for each in labels]), normalize=True
        )
        wanted = model.logit_scale.exp() * embeddings @ text.T
    assert network.class_logits(embeddings).detach().numpy() == pytest.approx(wanted.numpy(), abs=1e-4)


def test_without_labels_there_are_no_logits(path, images):
    network = Clip(SMALL, path, CPU)
    with pytest.raises(ValueError, match="without labels"):
        network.class_logits(network(images[0]).pooled)


def test_an_image_does_not_see_the_others(path, images):
    network = Clip(SMALL, path, CPU)
    assert torch.equal(network(images[0]).pooled[1:2], network(images[0][1:2]).pooled)


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(SetupError, match="not those of the CLIP model"):
        Clip(SMALL, path, CPU)


def test_the_configurations_exist_and_fit_the_declared_widths():
    for evaluator, model_name in ((CLIP_L14_336, "ViT-L-14-336-quickgelu"), (CLIP_B32, "ViT-B-32-quickgelu")):
        assert open_clip.get_model_config(model_name)["embed_dim"] == evaluator.width
    assert len(B32.sha256) == 64
