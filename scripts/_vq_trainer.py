"""One training step of the convolutional VQ tokenizer, apart from where its images come from."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from _vq_losses import PatchAdversary, adversary_loss, edge_loss
from _vq_muon import Muon

if TYPE_CHECKING:
    from _vq_losses import Lite2Distance
    from torch import Tensor

    from tokbench.nn.conv_vq import ConvVQ, SphereCodebook


@dataclass(frozen=True)
class Recipe:
    """Weights and schedule of the loss; fractions are of the whole training.

    Attributes:
        kernel_rate: peak learning rate of convolution kernels (Muon); cosine to a hundredth.
        bias_rate: that of biases (Adam).
        warm_up: the fraction in which the codebook is not yet in use.
        commitment: weight of the squared distance between a latent and its entry.
        edges: weight of `edge_loss`.
        maps: weight of the Lite2 map distance.
        pooled: weight of the Lite2 pooled distance.
        features_from: when the Lite2 distances begin to count (in full a twentieth later): far from the image their
            gradient is large and points nowhere, and without them a step takes half the time.
        adversarial: norm of the adversary's gradient relative to that of all other terms.
        adversary_from: when the adversary starts to learn; it is heard from a twentieth later.
        codebook_decay: of the moving averages that move the entries.
        average_decay: of the moving average of weights that is saved.
    """

    kernel_rate: float = 0.008
    bias_rate: float = 1e-3
    warm_up: float = 0.03
    commitment: float = 0.03
    edges: float = 0.5
    maps: float = 0.02
    pooled: float = 2e-5
    features_from: float = 0.08
    adversarial: float = 0.2
    adversary_from: float = 0.7
    codebook_decay: float = 0.99
    average_decay: float = 0.998


class CodebookAverage:
    """Moves a codebook's entries to the moving average of the latents that chose them, and revives unused ones."""

    def __init__(self, codebook: SphereCodebook, decay: float, generator: torch.Generator) -> None:
        self.codebook = codebook
        self.decay = decay
        self.generator = generator
        self.counts = torch.ones(codebook.entries.shape[0])
        self.sums = codebook.entries.clone()

    def restart(self, directions: Tensor, rounds: int = 10) -> None:
        """Start from spherical k-means over ``[n, dim]`` unit vectors."""
        vocab = self.codebook.entries.shape[0]
        self.codebook.entries.copy_(directions[self._draw(len(directions), vocab)])
        for _ in range(rounds):
            self.counts.zero_()
            self.sums.zero_()
            self._add(directions, self.codebook.nearest(directions), 1.0)
            empty = self.counts == 0
            self.sums[empty] = directions[self._draw(len(directions), int(empty.sum()))]
            self.counts[empty] = 1.0
            self.codebook.entries.copy_(F.normalize(self.sums, dim=1))
        scale = vocab / self.counts.sum() * 4
        self.counts *= scale
        self.sums *= scale

    def update(self, directions: Tensor, ids: Tensor) -> None:
        """Take in the latents ``[n, dim]`` of one step and the ids ``[n]`` they got."""
        self.counts *= self.decay
        self.sums *= self.decay
        self._add(directions, ids, 1 - self.decay)
        self.codebook.entries.copy_(F.normalize(self.sums, dim=1))

    def revive(self, directions: Tensor, share: float = 0.03) -> int:
        """Put a drawn latent in place of each entry used less than `share` of the mean; return how many."""
        mean = self.counts.mean()
        dead = self.counts < share * mean
        count = int(dead.sum())
        chosen = directions[self._draw(len(directions), count)]
        self.counts[dead] = mean / 2
        self.sums[dead] = chosen * mean / 2
        self.codebook.entries[dead] = chosen
        return count

    def _add(self, directions: Tensor, ids: Tensor, weight: float) -> None:
        self.counts.index_add_(0, ids, torch.full((len(ids),), weight))
        self.sums.index_add_(0, ids, directions * weight)

    def _draw(self, n: int, count: int) -> Tensor:
        if count <= n:
            return torch.randperm(n, generator=self.generator)[:count]
        return torch.randint(n, (count,), generator=self.generator)


class Trainer:
    """A model with everything that training moves along with it.

    Args:
        model: trained in place.
        perceptual: the feature distance, or None to train without (tests).
        seed: of the codebook's draws and the adversary's first weights.
        recipe: weights and schedule.
        bf16: run convolutions in bfloat16.
    """

    def __init__(
        self,
        model: ConvVQ,
        perceptual: Lite2Distance | None,
        seed: int,
        recipe: Recipe | None = None,
        *,
        bf16: bool = True,
    ) -> None:
        self.model = model.train().to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.perceptual = perceptual
        self.recipe = recipe or Recipe()
        self.bf16 = bf16
        self.adversary = PatchAdversary().to(memory_format=torch.channels_last)
        self.codebook = CodebookAverage(
            model.codebook, self.recipe.codebook_decay, torch.Generator().manual_seed(seed)
        )
        kernels = [weight for weight in model.parameters() if weight.ndim == 4]
        biases = [weight for weight in model.parameters() if weight.ndim < 4]
        self.kernel_optimizer = Muon(kernels)
        self.bias_optimizer = torch.optim.Adam(biases, betas=(0.9, 0.99))
        self.adversary_optimizer = torch.optim.Adam(self.adversary.parameters(), lr=4e-4, betas=(0.5, 0.99))
        self.steps = 0
        self.quantised = False
        self._seen: list[Tensor] = []

    def step(self, images: Tensor, progress: float) -> dict[str, float]:
        """Train on ``[n, 3, h, w]`` in [0, 1]; `progress` in [0, 1) sets the schedule. Returns the loss terms."""
        recipe = self.recipe
        images = images.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            latents = self.model.encoder(images)
        directions = F.normalize(latents.float(), dim=1)
        entries, commitment = self._quantise(directions, progress)
        with self._autocast():
            output = self.model.decoder(entries)
        output = output.float()

        leaf = output.detach().requires_grad_()
        features = _ramp(progress, recipe.features_from)
        terms = {"l1": (leaf - images).abs().mean(), "edges": edge_loss(leaf, images)}
        terms["sum"] = terms["l1"] + recipe.edges * terms["edges"]
        if self.perceptual is not None and features > 0:
            half = self._half(images)
            terms["maps"], terms["pooled"] = self.perceptual(leaf[half], images[half])
            terms["sum"] = terms["sum"] + features * (
                recipe.maps * terms["maps"] + recipe.pooled * terms["pooled"]
            )
        (gradient,) = torch.autograd.grad(terms["sum"], leaf)
        if progress >= recipe.adversary_from:
            gradient = gradient + self._adversarial_gradient(leaf, images, gradient, progress, terms)
        terms["commitment"] = commitment

        for optimizer, peak in self._optimizers():
            optimizer.zero_grad(set_to_none=True)
            optimizer.param_groups[0]["lr"] = peak * self._rate(progress)
        ((output * gradient).sum() + recipe.commitment * commitment).backward()
        for optimizer, _ in self._optimizers():
            optimizer.step()
        self.steps += 1
        self._average()
        return {name: float(value.detach()) for name, value in terms.items()}

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16)

    def _quantise(self, directions: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        flat = directions.detach().permute(0, 2, 3, 1).reshape(-1, directions.shape[1])
        if progress < self.recipe.warm_up:
            self._seen = [*self._seen[-15:], flat]
            return directions, directions.new_zeros(())
        if not self.quantised:
            self.codebook.restart(torch.cat([*self._seen, flat]))
            self.quantised, self._seen = True, []
        ids = self.model.codebook.nearest(flat)
        entries = self.model.codebook(ids.reshape(directions.shape[0], *directions.shape[2:])).clone()
        self.codebook.update(flat, ids)
        if self.steps % 50 == 0 and progress < 0.8:
            self.codebook.revive(flat)
        commitment = (directions - entries).square().sum(dim=1).mean()
        return directions + (entries - directions).detach(), commitment

    def _adversarial_gradient(
        self, leaf: Tensor, images: Tensor, fidelity: Tensor, progress: float, terms: dict[str, Tensor]
    ) -> Tensor:
        half = self._half(images)
        with self._autocast():
            loss = adversary_loss(self.adversary, images[half], leaf.detach()[half])
        self.adversary_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.adversary_optimizer.step()
        terms["adversary"] = loss
        heard = _ramp(progress, self.recipe.adversary_from + 0.05)
        if heard == 0.0:
            return torch.zeros_like(fidelity)
        with self._autocast():
            fooled = -self.adversary(leaf[half]).float().mean()
        (gradient,) = torch.autograd.grad(fooled, leaf)
        # The ratio of norms, as in VQGAN (arXiv 2012.09841), keeps the adversary's say the same all along.
        return gradient * (heard * self.recipe.adversarial * fidelity.norm() / (gradient.norm() + 1e-12))

    def _half(self, images: Tensor) -> slice:
        """The two networks cost more than the model: each step shows them half of the batch, the halves in turn."""
        return slice(self.steps % 2, None, 2) if len(images) > 1 else slice(None)

    def _optimizers(self) -> tuple[tuple[torch.optim.Optimizer, float], ...]:
        return (self.kernel_optimizer, self.recipe.kernel_rate), (self.bias_optimizer, self.recipe.bias_rate)

    def _rate(self, progress: float) -> float:
        warm = min(1.0, (self.steps + 1) / 30)
        return warm * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, progress))) / 2)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.recipe.average_decay, (self.steps + 1) / (self.steps + 10))
        theirs = self.average.state_dict()
        for name, value in self.model.state_dict().items():
            theirs[name].lerp_(value, 1 - decay)
        entries = self.average.codebook.entries
        # Averaged and live entries follow the same latents; the average of unit vectors is brought back to length 1.
        entries.copy_(F.normalize(self.model.codebook.entries if not self.quantised else entries, dim=1))


def _ramp(progress: float, start: float) -> float:
    """Rise from 0 at `start` to 1 a twentieth of the training later."""
    return min(1.0, max(0.0, (progress - start) / 0.05))
