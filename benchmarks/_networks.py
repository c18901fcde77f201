"""Weights of the evaluation networks for benchmarks: the real ones where they were fetched, else seeded random ones.

Random weights of the true architectures cost the same time and memory, and both sides of a comparison get one file, so
that agreement is tested as well. The numbers mean nothing else.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from tokbench.networks.inception import INCEPTION
from tokbench.networks.inception import WEIGHTS as INCEPTION_WEIGHTS
from tokbench.networks.lpips import LPIPS_ALEX, LPIPS_VGG
from tokbench.weights import cache_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from tokbench.networks.base import Evaluator

TRUNKS = {LPIPS_ALEX.name: LPIPS_ALEX.weights[0], LPIPS_VGG.name: LPIPS_VGG.weights[0]}


def evaluators(*, vgg: bool) -> list[Evaluator]:
    """Return the networks of a comparison."""
    return [INCEPTION, LPIPS_ALEX, *([LPIPS_VGG] if vgg else [])]


def write_weights(folder: Path, networks: Sequence[Evaluator]) -> dict[str, Path]:
    """Return ``{weights name: file}``, making what `tokbench fetch` has not brought.

    Trunks of LPIPS lie in ``folder/hub/checkpoints`` under the names torchvision gives them, so that with `folder` as
    ``TORCH_HOME`` the `lpips` package takes them for its own.
    """
    found = {}
    for network in networks:
        file = TRUNKS.get(network.name, INCEPTION_WEIGHTS)
        path = folder / "hub" / "checkpoints" / file.basename
        found[file.name] = path
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        fetched = cache_path(file)
        if fetched.exists():
            path.symlink_to(fetched)
        else:
            _save(_random_inception() if network is INCEPTION else _random_trunk(network.name), path)
    return found


def are_random(weights: dict[str, Path]) -> bool:
    """Whether any of these files was made here."""
    return any(not path.is_symlink() for path in weights.values())


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    import torch

    torch.save(tensors, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def _random_inception() -> dict[str, Tensor]:
    """Draw convolutions that keep the variance of what passes (He et al. 2015); the published class has the names."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Bare(FeatureExtractorInceptionV3):
        """The network before it has weights."""

        def load_state_dict(self, *args: object, **kwargs: object) -> None:
            """Leave the tensors as they were built."""

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    tensors: dict[str, Tensor] = Bare("random", ["2048"], feature_extractor_weights_path=empty).state_dict()
    generator = torch.Generator().manual_seed(0)
    for name in sorted(tensors):
        if name.endswith("conv.weight"):
            torch.nn.init.kaiming_normal_(tensors[name], generator=generator)
        elif name.startswith("fc."):  # the classifier, which rFID leaves out
            tensors[name].zero_()
    return tensors


def _random_trunk(name: str) -> dict[str, Tensor]:
    """Draw the convolutions likewise; the classifier, which LPIPS leaves out, is there and zero."""
    import torch
    import torchvision

    with torch.device("meta"):
        network = torchvision.models.alexnet() if name == LPIPS_ALEX.name else torchvision.models.vgg16()
    tensors = {key: torch.zeros(value.shape) for key, value in network.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    for key, value in tensors.items():
        if key.startswith("features") and key.endswith("weight"):
            torch.nn.init.kaiming_normal_(value, generator=generator)
    return tensors
