"""The tool chain that tokbench replaces, as its users run it: one script a step, PNG files between the steps.

    python benchmarks/_chain.py originals IMAGES ORIGINALS
    python benchmarks/_chain.py reconstruct TOKENIZER ORIGINALS RECONSTRUCTIONS
    python benchmarks/_chain.py fidelity ORIGINALS RECONSTRUCTIONS RESULT.json --inception PATH
    python benchmarks/_chain.py lpips_alex ORIGINALS RECONSTRUCTIONS RESULT.json
    python benchmarks/_chain.py lpips_vgg ORIGINALS RECONSTRUCTIONS RESULT.json
    python benchmarks/_chain.py pixels ORIGINALS RECONSTRUCTIONS RESULT.json
    python benchmarks/_chain.py ms_ssim ORIGINALS RECONSTRUCTIONS RESULT.json
    python benchmarks/_chain.py words ORIGINALS RECONSTRUCTIONS RESULT.json     # with ORIGINALS.json: boxes and texts

Nothing here is tuned, up or down: each step calls its package the way the package's own documentation or script does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

BATCH = 16


def originals(images: Path, out: Path) -> None:
    """Preprocess images and write them as PNG files."""
    from tokbench.images.preprocess import prepare
    from tokbench.protocol import get_protocol

    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(images.iterdir()):
        with Image.open(path) as image:
            pixels = prepare(np.asarray(image.convert("RGB")), get_protocol("adm-256")).reference
        Image.fromarray(pixels).save(out / f"{path.stem}.png")


def reconstruct(tokenizer: str, images: Path, out: Path, device: str = "cpu") -> None:
    """Encode and decode PNG files in batches and write the reconstructions as PNG files."""
    import torch

    from tokbench.catalog import discover
    from tokbench.images.rounding import from_uint8, to_uint8
    from tokbench.loading import build_tokenizer

    place = torch.device(device)
    model = build_tokenizer(discover().tokenizer(tokenizer), device=place, dtype=torch.float32, overrides={})
    out.mkdir(parents=True, exist_ok=True)
    paths = sorted(images.iterdir())
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        pixels = torch.from_numpy(np.stack([_read(path) for path in batch])).permute(0, 3, 1, 2)
        with torch.inference_mode():
            output = model.decode(model.encode(from_uint8(pixels.to(place))))
        for path, image in zip(batch, to_uint8(output).permute(0, 2, 3, 1).cpu().numpy(), strict=True):
            Image.fromarray(image).save(out / path.name)


def fidelity(x: Path, y: Path, inception: Path, device: str = "cpu") -> dict[str, Any]:
    """Compute rFID by torch-fidelity, with its own batch size, workers and root."""
    from torch_fidelity import calculate_metrics

    found = calculate_metrics(
        input1=str(x),
        input2=str(y),
        cuda=device == "cuda",
        fid=True,
        verbose=False,
        feature_extractor_weights_path=str(inception),
    )
    return {"rfid": float(found["frechet_inception_distance"])}


def lpips(x: Path, y: Path, net: str, device: str = "cpu") -> dict[str, Any]:
    """Compute LPIPS pair by pair, as ``lpips_2dirs.py`` does but without gradients; trunks lie under ``TORCH_HOME``."""
    import lpips as package
    import torch

    model = package.LPIPS(net=net, verbose=False).to(device)

    def one(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
        pair = [package.im2tensor(pixels).to(device) for pixels in (first, second)]
        with torch.no_grad():
            return float(model(*pair))

    return {f"lpips_{net}": _each(x, y, one)}


def pixels(x: Path, y: Path) -> dict[str, Any]:
    """Compute PSNR and SSIM by scikit-image, SSIM in the settings of Wang et al. 2004."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    def ssim(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
        return float(
            structural_similarity(
                first,
                second,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
                channel_axis=2,
            )
        )

    def psnr(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
        return float(peak_signal_noise_ratio(first, second, data_range=255))

    both = _each(x, y, lambda first, second: (psnr(first, second), ssim(first, second)))
    return {"psnr": [pair[0] for pair in both], "ssim": [pair[1] for pair in both]}


def ms_ssim(x: Path, y: Path, device: str = "cpu") -> dict[str, Any]:
    """Compute MS-SSIM pair by pair, by torchmetrics."""
    import torch
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    def one(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
        a, b = (
            torch.from_numpy(side).permute(2, 0, 1)[None].to(device, torch.float32)
            for side in (first, second)
        )
        return float(multiscale_structural_similarity_index_measure(a, b, data_range=255.0))

    return {"ms_ssim": _each(x, y, one)}


def words_read(x: Path, y: Path) -> dict[str, Any]:
    """Read the annotated words of originals and reconstructions one by one by RapidOCR; 1 where a word is right."""
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "critical"})

    def right(pixels: npt.NDArray[np.uint8], word: dict[str, Any]) -> int:
        x0, y0, x1, y1 = word["box"]
        crop = np.ascontiguousarray(pixels[y0:y1, x0:x1, ::-1])
        found = engine(crop, use_det=False, use_cls=False, use_rec=True)
        return int(bool(found.txts) and found.txts[0] == word["text"])

    annotated = json.loads(x.with_suffix(".json").read_text())
    return {
        title: [
            right(_read(side / f"{name}.png"), word) for name, words in annotated.items() for word in words
        ]
        for title, side in (("original", x), ("reconstruction", y))
    }


def _each(x: Path, y: Path, one: Callable[..., Any]) -> list[Any]:
    return [one(first, second) for first, second in _pairs(x, y)]


def _pairs(x: Path, y: Path) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    for path in sorted(x.iterdir()):
        yield _read(path), _read(y / path.name)


def _read(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step")
    parser.add_argument("arguments", nargs="+")
    parser.add_argument("--inception", type=Path)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    step, words, device = chosen.step, chosen.arguments, chosen.device
    if step == "originals":
        originals(Path(words[0]), Path(words[1]))
    elif step == "reconstruct":
        reconstruct(words[0], Path(words[1]), Path(words[2]), device)
    else:
        x, y, result = map(Path, words)
        found = measure_step(step, x, y, chosen.inception, device)
        result.write_text(json.dumps(found))


def measure_step(step: str, x: Path, y: Path, inception: Path, device: str = "cpu") -> dict[str, Any]:
    """Return what one measuring step finds: a number for rFID, a list with a number an image for the rest.

    Raises:
        ValueError: no such step.
    """
    if step == "fidelity":
        return fidelity(x, y, inception, device)
    if step in {"lpips_alex", "lpips_vgg"}:
        return lpips(x, y, step.removeprefix("lpips_"), device)
    if step == "pixels":
        return pixels(x, y)
    if step == "ms_ssim":
        return ms_ssim(x, y, device)
    if step == "words":
        return words_read(x, y)
    raise ValueError(step)


if __name__ == "__main__":
    main()
