"""Views that move ids to neighbouring entries, the perturbation behind pFID; `docs/pfid.md` has the definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from tokbench.errors import ContractError
from tokbench.perturb.books import Book, books_of, quantizer, unsupported
from tokbench.perturb.draws import select, uniform_rows
from tokbench.perturb.sizes import Matched, Nearest, Share
from tokbench.tokenizer import Codes
from tokbench.views import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.perturb.sizes import Size
    from tokbench.tokenizer import TokenSpec
    from tokbench.views import Encoded

Anchor = Literal["entry", "encoder"]
S = TypeVar("S", Nearest, Share, Matched)


@dataclass(frozen=True)
class Perturb:
    """Replaces ids, at rate `alpha`, by entries drawn evenly from their neighbourhood, the entry itself included.

    Every codebook (product, residual and multi-scale alike) is perturbed on its own with the same rate and size; later
    levels of a residual quantiser are kept as they are, so that the change of an early level reaches the image.

    Attributes:
        cell: name of the view; it names the random stream, too.
        alpha: rate in [0, 1].
        size: the neighbourhood.
        exact: exactly α of the ids of each codebook of each image, instead of each id with probability α.
        anchor: neighbours of the quantised entry (paper), or of the encoder's feature (authors' code).
        codebook_norm: scale entries (and features) to length 1 before the search.
    """

    cell: str
    alpha: float
    size: Size
    exact: bool = False
    anchor: Anchor = "entry"
    codebook_norm: bool = False

    def unsupported(self, spec: TokenSpec) -> str:
        """Return why it makes no sense for a tokenizer, or ""."""
        reason = unsupported(spec)
        if not reason and self.anchor == "encoder" and (quantizer(spec) != "vq" or spec.codebooks > 1):
            reason = "neighbours of the encoder's features are defined for a single stored codebook only"
        return reason or self.size.unsupported(spec)

    def __call__(self, encoded: Encoded) -> Codes:
        """Perturb a batch; each image by draws of its own.

        Raises:
            ContractError: codebook or encoder features do not fit the ids.
        """
        import torch

        ids = encoded.codes.ids
        assert ids is not None
        spec = encoded.tokenizer.spec
        flat = ids.reshape(len(ids), ids.shape[1] if spec.codebooks > 1 else 1, -1).to(torch.int64)
        shape, count = flat.shape, flat[0].numel()
        chosen = select(self._draw(encoded, "select", count).reshape(shape), self.alpha, exact=self.exact)
        draws = self._draw(encoded, "rank", count).reshape(shape)
        result = flat.clone()
        for level, book in enumerate(self._books(encoded)[: shape[1]]):
            delta = self._delta(encoded, book, level)
            where = torch.from_numpy(chosen[:, level].copy()).to(ids.device)
            ranks = torch.from_numpy((draws[:, level] * delta).astype("int64")).to(ids.device)[where]
            old = flat[:, level][where]
            if self.anchor == "encoder":
                rows = self._rows_of_features(encoded, flat[:, level], delta)
                new = rows[where].gather(1, ranks[:, None])[:, 0]
            else:
                ties = self._draw(encoded, f"tie {level}", shape[2] * book.tie_draws)
                keys = torch.from_numpy(ties.reshape(shape[0], shape[2], book.tie_draws)).to(ids.device)
                new = book.neighbours(old, ranks, keys[where], delta)
            result[:, level][where] = new
        return Codes(ids=result.reshape(ids.shape).to(ids.dtype))

    def _draw(self, encoded: Encoded, purpose: str, count: int) -> npt.NDArray[np.float64]:
        return uniform_rows(encoded.seed, encoded.image_ids, self.cell, purpose, count)

    def _books(self, encoded: Encoded) -> tuple[Book, ...]:
        key = f"books norm={self.codebook_norm}"
        if key not in encoded.kept:
            encoded.kept[key] = books_of(
                encoded.tokenizer, codebook_norm=self.codebook_norm, device=encoded.images.device
            )
        books: tuple[Book, ...] = encoded.kept[key]
        return books

    def _delta(self, encoded: Encoded, book: Book, level: int) -> int:
        key = f"delta {self.size.label} norm={self.codebook_norm} level={level}"
        if key not in encoded.kept:
            encoded.kept[key] = self.size.count(book)
        delta: int = encoded.kept[key]
        return delta

    def _rows_of_features(self, encoded: Encoded, ids: Tensor, delta: int) -> Tensor:
        """Return the neighbours of every position's feature, int64 ``[n, positions, ≥ delta]``, once for a batch."""
        import torch

        from tokbench.perturb.explicit import ExplicitBook, nearest_entries

        key = f"encoder neighbours norm={self.codebook_norm}"
        rows: Tensor | None = encoded.cache.get(key)
        if rows is None or rows.shape[2] < delta:
            (book,) = self._books(encoded)
            assert isinstance(book, ExplicitBook)
            features = _features(encoded, ids, book.entries.shape[1])
            if self.codebook_norm:
                features = torch.nn.functional.normalize(features, dim=-1)
            found = nearest_entries(features, book.entries, delta, ids.reshape(-1))
            rows = encoded.cache[key] = found.reshape(*ids.shape, -1)
        return rows


def perturbed(
    alpha: float, size: Size, *, exact: bool = False, anchor: Anchor = "entry", codebook_norm: bool = False
) -> View:
    """Make the view of one cell; its name tells everything that sets it apart, e.g. ``a=0.5 d=200``.

    Args:
        alpha: rate in [0, 1].
        size: the neighbourhood.
        exact: see `Perturb`.
        anchor: see `Perturb`.
        codebook_norm: see `Perturb`.

    Raises:
        ValueError: the rate is not in [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"rate {alpha} is not in [0, 1]")
    marks = {"exact": exact, "z": anchor == "encoder", "norm": codebook_norm}
    name = " ".join((f"a={alpha:g}", size.label, *(mark for mark, given in marks.items() if given)))
    transform = Perturb(name, alpha, size, exact, anchor, codebook_norm)
    needs = ("codebook", "encoder-features") if anchor == "encoder" else ()
    return View(name, transform, needs, transform.unsupported)


def grid(
    alphas: Sequence[float],
    sizes: Sequence[S],
    *,
    exact: bool = False,
    anchor: Anchor = "entry",
    codebook_norm: bool = False,
) -> tuple[View, ...]:
    """Make the views of every pair of a rate and a size.

    The largest size comes first: the tables of neighbours that it needs serve the others.
    """
    return tuple(
        perturbed(alpha, size, exact=exact, anchor=anchor, codebook_norm=codebook_norm)
        for size in sorted(sizes, reverse=True)
        for alpha in alphas
    )


def _features(encoded: Encoded, ids: Tensor, dim: int) -> Tensor:
    """Return the encoder's features as float64 ``[n · positions, dim]``."""
    import torch

    from tokbench.tokenizer import HasEncoderFeatures

    tokenizer = encoded.tokenizer
    assert isinstance(tokenizer, HasEncoderFeatures)
    features = tokenizer.encoder_features(encoded.images)
    if features.shape[-1] != dim or features.numel() != ids.numel() * dim:
        raise ContractError(
            f"tokenizer `{tokenizer.spec.name}`: encoder_features() returned shape {tuple(features.shape)}; "
            f"wanted one vector of {dim} for each of {tuple(ids.shape)} ids",
            hint="the last axis is that of codebook(), the others are those of the ids",
        )
    return features.reshape(-1, dim).to(torch.float64)
