"""CLIP's image tower (Radford et al., arXiv 2103.00020) through open_clip, and its text tower for zero-shot labels.

Two sizes: ViT-L/14 at 336 pixels for CMMD (arXiv 2401.09603), ViT-B/32 for similarities (One-D-Piece). Weights are read
from files; open_clip is never asked for any.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tokbench.errors import SetupError
from tokbench.networks.base import Evaluator, Features, Network
from tokbench.networks.each import each_image
from tokbench.networks.squash import squash
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_NO_TENSORS = ("input_resolution", "context_length", "vocab_size")  # OpenAI's files carry these numbers
_PROMPT = "a photo of a {}."
_PROMPTS_AT_ONCE = 100

L14_336 = WeightFile(
    name="clip-l14-336",
    source=(
        "hub:timm/vit_large_patch14_clip_336.openai@81e38efc4637de5023b10e75a7f9bd1c6fa6b010/"
        "open_clip_pytorch_model.bin"
    ),
    license="MIT",
)
B32 = WeightFile(
    name="clip-b32",
    source=(
        "hub:timm/vit_base_patch32_clip_224.openai@a6f597a30f7b82c51704746581f9a4e41421e878/"
        "open_clip_model.safetensors"
    ),
    sha256="e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
    license="MIT",
)


class Clip:
    """An image tower, and the text tower if labels are asked for.

    Images are squashed to the network's square by Pillow's bicubic on 8-bit pixels, as CMMD's code does with square
    images, and normalised by CLIP's mean and deviation.

    Args:
        config: open_clip's model configuration.
        weights: a checkpoint of that model, both towers.
        device: where to run.
        labels: class names for `class_logits`; the text tower is dropped when there are none.
    """

    def __init__(
        self, config: Mapping[str, Any], weights: Path, device: torch.device, labels: Sequence[str] = ()
    ) -> None:
        import open_clip  # type: ignore[import-untyped, unused-ignore]
        import torch

        model = open_clip.CLIP(**config)
        stored = {name: value for name, value in load_state_dict(weights).items() if name not in _NO_TENSORS}
        try:
            model.load_state_dict(stored)
        except RuntimeError as error:
            raise SetupError(
                f"weights {weights} are not those of the CLIP model: {str(error).splitlines()[0]}",
                hint="fetch the file again",
            ) from error
        model = model.float().eval().requires_grad_(False)
        self._visual = model.visual.to(device)
        self._model = model.to(device) if labels else None
        self._labels = tuple(labels)
        self._classifier: Tensor | None = None
        self._side = int(config["vision_cfg"]["image_size"])
        self._mean = torch.tensor(_MEAN, device=device)[:, None, None]
        self._deviation = torch.tensor(_DEVIATION, device=device)[:, None, None]

    def __call__(self, images: Tensor) -> Features:
        """Return image embeddings of length one, ``[n, embed_dim]``."""
        return each_image(images, self._look)

    def class_logits(self, embeddings: Tensor) -> Tensor:
        """Score embeddings against the labels, zero-shot.

        The prompt is "a photo of a LABEL." alone: an ensemble of prompts costs its size in time and does not change
        who agrees with whom much.

        Args:
            embeddings: ``[n, embed_dim]``, what calling the network gave.

        Returns:
            Float32 ``[n, labels]``: cosine similarity times CLIP's learned scale.
        """
        if self._model is None:
            raise ValueError("this CLIP network was loaded without labels")
        if self._classifier is None:
            self._classifier = self._classify()
        scale: Tensor = self._model.logit_scale.exp()
        return scale * embeddings @ self._classifier.T

    def _look(self, images: Tensor) -> Features:
        from torch.nn import functional

        x = squash(images, self._side, "bicubic").float() / 255
        return Features(pooled=functional.normalize(self._visual((x - self._mean) / self._deviation), dim=-1))

    def _classify(self) -> Tensor:
        import open_clip
        import torch
        from torch.nn import functional

        assert self._model is not None
        tokens = open_clip.tokenize([_PROMPT.format(label) for label in self._labels])
        with torch.inference_mode():
            parts = [
                self._model.encode_text(part.to(self._mean.device)) for part in tokens.split(_PROMPTS_AT_ONCE)
            ]
        return functional.normalize(torch.cat(parts), dim=-1)


def _load(
    weights: Mapping[str, Path], device: torch.device, name: str, model: str, labelled: bool
) -> Network:
    import open_clip
    from open_clip.zero_shot_metadata import (  # type: ignore[import-untyped, unused-ignore]
        IMAGENET_CLASSNAMES,
    )

    labels = tuple(IMAGENET_CLASSNAMES) if labelled else ()
    return Clip(open_clip.get_model_config(model), weights[name], device, labels)


def _evaluator(title: str, width: int, file: WeightFile, model: str, *, labelled: bool) -> Evaluator:
    return Evaluator(
        name=file.name,
        title=title,
        license=file.license,
        source="https://github.com/openai/CLIP",
        width=width,
        weights=(file,),
        packages=("open_clip",),
        extra="clip",
        load=partial(_load, name=file.name, model=model, labelled=labelled),
    )


CLIP_L14_336 = _evaluator(
    "CLIP ViT-L/14 at 336 pixels (CMMD), 768-d", 768, L14_336, "ViT-L-14-336-quickgelu", labelled=False
)
CLIP_B32 = _evaluator(
    "CLIP ViT-B/32, 512-d, with zero-shot ImageNet labels", 512, B32, "ViT-B-32-quickgelu", labelled=True
)
