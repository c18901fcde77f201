"""docTR's PARSeq, the recogniser behind the published TokBench numbers (arXiv 2505.18142)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.errors import DigestError, EvaluatorError, SetupError
from tokbench.networks.base import Evaluator
from tokbench.weights import WeightFile, digest, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor

    from tokbench.networks.recognisers import Image

# The publisher states no digest, only its first eight hex digits in the file's name.
WEIGHTS = WeightFile(
    name="doctr-parseq",
    source="https://github.com/mindee/doctr/releases/download/v0.7.0/parseq-56125471.pt",
    license="Apache-2.0",
)

VOCABULARY = (
    "0123456789"
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
    "°£€¥¢฿"
    "àâéèêëîïôùûüçÀÂÉÈÊËÎÏÔÙÛÜÇ"
)
"""The 126 characters the weights know, in their order (docTR's ``french``); there is no blank."""

HEIGHT, WIDTH = 32, 128
_MEAN = (0.694, 0.695, 0.693)
_DEVIATION = (0.299, 0.296, 0.301)
_GPU_BATCH = 64


class Parseq:
    """PARSeq in float32, decoding without the true word.

    TokBench's `eval_text.py` hands the true words to the model while it evaluates, which limits every prediction of a
    batch to the length of the batch's longest true word plus one and makes the score depend on batch size and order. Of
    13,933 published words 13 sit on that limit at its batches of 64. Here no true word is passed, the limit is the
    model's own 32 characters, and a word is read the same whatever its neighbours.

    Args:
        weights: the checkpoint.
        device: where to run.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        from doctr.models.recognition import parseq  # type: ignore[import-untyped, import-not-found, unused-ignore]

        if weights.name == WEIGHTS.basename and not digest(weights).startswith("56125471"):
            raise DigestError(
                f"weights {weights} are not the published ones: their sha256 does not start with 56125471",
                hint=f"delete the file and run `tokbench fetch {WEIGHTS.name}`",
            )
        model = parseq(pretrained=False, vocab=VOCABULARY)
        try:
            model.load_state_dict(load_state_dict(weights))
        except RuntimeError as error:
            raise SetupError(
                f"weights {weights} are not those of docTR's parseq",
                hint=f"remove --weights {WEIGHTS.name}=PATH",
            ) from error
        self._model: Any = model.to(device).eval().requires_grad_(False)
        self._device = device

    def read_words(self, crops: Sequence[Image]) -> list[str]:
        """Read words; see `Recogniser`."""
        import torch

        # As for every network: on a CPU one at a time, so that no last bit depends on the neighbours.
        step = 1 if self._device.type == "cpu" else _GPU_BATCH
        read: list[str] = []
        with torch.inference_mode():
            for start in range(0, len(crops), step):
                batch = torch.stack([prepare_crop(crop) for crop in crops[start : start + step]])
                found = self._model(batch.to(self._device), return_preds=True)["preds"]
                read += [str(text) for text, _ in found]
        return read

    def read_page(self, image: Image) -> str:
        """Refuse: PARSeq reads words, it does not find them.

        Raises:
            EvaluatorError: always.
        """
        raise EvaluatorError(
            "evaluator `doctr-parseq` reads single words, not pages", hint="use `rapidocr` for pages"
        )


def prepare_crop(crop: Image) -> Tensor:
    """Turn a crop into what the network sees, as TokBench does.

    In [0, 1] resized with antialiased bilinear interpolation to fit 32 × 128 with its proportions, padded with zeros
    (black) at the right or bottom, then normalised.

    Args:
        crop: uint8 ``[h, w, 3]``, RGB.

    Returns:
        float32 ``[3, 32, 128]``.
    """
    import torch
    from torch.nn import functional

    pixels = torch.from_numpy(crop.copy()).permute(2, 0, 1).to(torch.float32).div(255)
    proportion = crop.shape[0] / crop.shape[1]
    if proportion > HEIGHT / WIDTH:
        size = (HEIGHT, max(int(HEIGHT / proportion), 1))
    else:
        size = (max(int(WIDTH * proportion), 1), WIDTH)
    small = functional.interpolate(
        pixels[None], size=size, mode="bilinear", align_corners=False, antialias=True
    )
    padded = functional.pad(small[0], (0, WIDTH - size[1], 0, HEIGHT - size[0]))
    return (padded - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_DEVIATION)[:, None, None]


def _load(weights: Mapping[str, Path], device: torch.device) -> Parseq:
    return Parseq(weights[WEIGHTS.name], device)


PARSEQ = Evaluator(
    name="doctr-parseq",
    title="docTR's PARSeq, words only: the recogniser of TokBench",
    license="Apache-2.0",
    source="https://github.com/mindee/doctr",
    width=0,
    weights=(WEIGHTS,),
    packages=("doctr",),
    extra="doctr",
    load=_load,
)
