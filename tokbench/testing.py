"""The conformance kit: what third parties run on their own tokenizer, from pytest or by `tokbench check`.

from tokbench.testing import check_tokenizer

def test_my_tokenizer():
    check_tokenizer(MyTokenizer()).raise_if_failed()
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.errors import ContractError, TokbenchError
from tokbench.surroundings import unchanged
from tokbench.tokenizer import Codes, HasCodebook, VariableLength, capabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from tokbench.tokenizer import Tokenizer

_DEFAULT_SIDE = 64
_SAME_IDS = 0.999
_SAME_LATENTS = 1e-3


@dataclass(frozen=True)
class Check:
    """One line of a report.

    Attributes:
        name: what was checked.
        passed: the outcome.
        detail: the figure, or got against wanted when it failed.
        trace: the traceback when the adapter raised, else "".
    """

    name: str
    passed: bool
    detail: str
    trace: str = ""


@dataclass(frozen=True)
class Report:
    """The outcome of the conformance kit for one tokenizer.

    Attributes:
        tokenizer: its name.
        checks: one by one.
        trained: False when its weights were random.
    """

    tokenizer: str
    checks: tuple[Check, ...]
    trained: bool = True

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def raise_if_failed(self) -> None:
        """Raise the first failure.

        Raises:
            ContractError: a check failed; lists all that did.
        """
        failed = [f"{check.name}: {check.detail}" for check in self.checks if not check.passed]
        if failed:
            raise ContractError(f"tokenizer `{self.tokenizer}` breaks the contract: {'; '.join(failed)}")


class _Kit:
    """The checks, each a method that returns its detail or raises."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        images: Tensor,
        *,
        trained: bool,
        fresh: Callable[[], Tokenizer] | None,
    ) -> None:
        self.tokenizer = tokenizer
        self.fresh = fresh
        self.trained = trained
        self.spec = tokenizer.spec
        self.images = images
        self._codes: Codes | None = None

    def encode(self) -> str:
        """The codes of a batch are within the contract, and the images are still what they were."""
        from tokbench.contract import check_codes, check_untouched

        given = self.images.clone()
        codes = self.tokenizer.encode(given)
        check_codes(codes, self.spec, len(self.images))
        self._codes = _copied(codes)
        check_untouched(given, self.images, self.spec)
        return _shape(codes)

    def serialise(self) -> str:
        """The codes survive a round trip through bytes."""
        from tokbench.bitstream import pack
        from tokbench.contract import check_same_codes

        codes = self._need_codes()
        back = _through_bytes(codes, self.tokenizer)
        check_same_codes(codes, back, self.spec)
        bits = [item.bits for item in pack(codes, self.spec)]
        pixels = self.images.shape[2] * self.images.shape[3]
        return f"{sum(bits) / len(bits) / pixels:.4g} bit/px"

    def decode(self) -> str:
        """What is decoded from bytes alone has the right shape, type and range."""
        images = self.tokenizer.decode(_through_bytes(self._need_codes(), self.tokenizer))
        self._check_images(images)
        low, high = (float(bound) for bound in images.detach().aminmax())
        return f"values from {low:.3f} to {high:.3f}"

    def repeat(self) -> str:
        """The same images give the same codes, the same codes the same images."""
        from tokbench.contract import check_same_codes, check_same_images

        if not self.spec.deterministic:
            return "not asked for: the spec says deterministic = false"
        codes = self._need_codes()
        check_same_codes(codes, self.tokenizer.encode(self.images), self.spec)
        first, second = (
            self.tokenizer.decode(_through_bytes(codes, self.tokenizer)).clone() for _ in range(2)
        )
        check_same_images(first, second, self.spec)
        return "equal"

    def codes_alone(self) -> str:
        """What is decoded depends on the codes alone: not on what was encoded last, nor on what was encoded at all."""
        from tokbench.contract import check_same_images

        if not self.spec.deterministic:
            return "not asked for: the spec says deterministic = false"
        codes = self.tokenizer.encode(self.images)
        data = _through_bytes(codes, self.tokenizer)
        # A copy: what is returned may be a buffer that the next call writes into, and would then equal itself.
        first = self.tokenizer.decode(data).clone()
        self.tokenizer.encode(1 - self.images)
        check_same_images(first, self.tokenizer.decode(data), self.spec)
        if self.fresh is None:
            return "equal after another batch was encoded"
        elsewhere = self.fresh().decode(_through_bytes(codes, self.tokenizer))
        check_same_images(first, elsewhere, self.spec)
        return "equal after another batch was encoded, and in a second instance that encoded nothing"

    def neighbours(self) -> str:
        """An image's codes do not depend on the rest of its batch, nor on its place in it."""
        import torch

        if not self.spec.deterministic:
            return "not asked for: the spec says deterministic = false"
        codes = self._need_codes()
        alone = [_copied(self.tokenizer.encode(self.images[i : i + 1])) for i in range(len(self.images))]
        if codes.payloads is not None:
            if codes.payloads != tuple(data for each in alone for data in each.payloads or ()):
                raise ContractError("an image alone gives other bytes than in a batch; wanted the same")
            return "equal bytes"
        if codes.ids is not None:
            single = torch.cat([each.ids for each in alone if each.ids is not None])
            share = float((single == codes.ids).double().mean())
            if share < _SAME_IDS:
                raise ContractError(
                    f"{share:.4%} of ids stay the same when an image is alone; wanted {_SAME_IDS:.1%}"
                )
            return f"{share:.4%} of ids equal"
        assert codes.latents is not None
        single = torch.cat([each.latents for each in alone if each.latents is not None])
        scale = float(codes.latents.float().abs().max()) or 1.0
        gap = float((single.float() - codes.latents.float()).abs().max()) / scale
        if gap > _SAME_LATENTS:
            raise ContractError(
                f"latents differ by {gap:.2g} of their range when an image is alone; wanted {_SAME_LATENTS}"
            )
        return f"differ by {gap:.1e} of their range"

    def side_effects(self) -> str:
        """Encoding and decoding leave the process and torch's random state as they were."""
        import torch

        draw, seed = torch.get_rng_state(), torch.initial_seed()
        with unchanged() as changes:
            codes = self.tokenizer.encode(self.images)
            self.tokenizer.decode(_through_bytes(codes, self.tokenizer))
        if changes.said:
            raise ContractError(
                f"settings of the whole process changed: {'; '.join(changes.said)}; wanted them untouched"
            )
        drawn = not torch.equal(draw, torch.get_rng_state())
        if torch.initial_seed() != seed or (self.spec.deterministic and drawn):
            raise ContractError(
                "random numbers were drawn or seeded; wanted neither, or `deterministic = false` in the spec and "
                "no seed set"
            )
        return "none"

    def declared(self) -> str:
        """The spec declares exactly the capabilities that the tokenizer has."""
        found = capabilities(self.tokenizer)
        if set(found) != set(self.spec.capabilities):
            raise ContractError(
                f"the spec declares capabilities {list(self.spec.capabilities)}; wanted {list(found)}, which it has"
            )
        return ", ".join(found) or "none"

    def codebook(self) -> str:
        """The codebook has one finite vector per id."""
        assert isinstance(self.tokenizer, HasCodebook)
        entries = self.tokenizer.codebook()
        wanted = (self.spec.vocab,) if entries.ndim == 2 else (self.spec.codebooks, self.spec.vocab)
        if tuple(entries.shape[: len(wanted)]) != wanted or not bool(entries.isfinite().all()):
            raise ContractError(
                f"codebook() returned shape {tuple(entries.shape)}; wanted {wanted} + (dim,), finite"
            )
        return f"shape {tuple(entries.shape)}"

    def lengths(self) -> str:
        """Every announced length can be cut to, serialised and decoded; longer costs more bits."""
        from tokbench.bitstream import pack
        from tokbench.contract import check_codes

        assert isinstance(self.tokenizer, VariableLength)
        codes = self._need_codes()
        lengths = self.tokenizer.lengths()
        if list(lengths) != sorted(set(lengths)) or not lengths:
            raise ContractError(f"lengths() returned {lengths}; wanted ascending, different numbers")
        if list(self.spec.options.get("lengths", ())) != list(lengths):
            raise ContractError(
                f"the spec states options.lengths {self.spec.options.get('lengths')}; wanted {list(lengths)}"
            )
        spent = []
        for length in lengths:
            cut = self.tokenizer.truncate(codes, length)
            check_codes(cut, self.spec, len(self.images))
            images = self.tokenizer.decode(_through_bytes(cut, self.tokenizer))
            self._check_images(images)
            spent.append(pack(cut, self.spec)[0].bits)
        if spent != sorted(set(spent)):
            raise ContractError(
                f"lengths {lengths} cost {spent} bits; wanted more bits for every longer code"
            )
        return f"{len(lengths)} lengths, {spent[0]} to {spent[-1]} bits"

    def _check_images(self, images: Tensor) -> None:
        from tokbench.contract import check_images

        n, _, height, width = self.images.shape
        check_images(images, self.spec, (n, 3, height, width), trained=self.trained)

    def _need_codes(self) -> Codes:
        if self._codes is None:
            raise ContractError("encode failed, so this could not be checked")
        return self._codes


def check_tokenizer(
    tokenizer: Tokenizer,
    *,
    device: torch.device | None = None,
    trained: bool = True,
    fresh: Callable[[], Tokenizer] | None = None,
) -> Report:
    """Run the whole contract on a tokenizer with seeded synthetic images.

    Args:
        tokenizer: what an adapter's `build` returned.
        device: where its images shall be; CPU by default.
        trained: False when its weights are random; decoded values may then be anything finite.
        fresh: builds the same tokenizer again, sharing nothing with the first; it decodes what the first encoded, so
            that nothing but the codes can carry an image. Without it this is not checked.

    Returns:
        A report; nothing is raised for a failed check.
    """
    import torch

    kit = _Kit(
        tokenizer, sample_images(tokenizer, device or torch.device("cpu")), trained=trained, fresh=fresh
    )
    checks: list[tuple[str, Callable[[], str]]] = [
        ("encode", kit.encode),
        ("bytes", kit.serialise),
        ("decode", kit.decode),
        ("determinism", kit.repeat),
        ("codes alone", kit.codes_alone),
        ("batch independence", kit.neighbours),
        ("side effects", kit.side_effects),
        ("capabilities", kit.declared),
    ]
    found = capabilities(tokenizer)
    if "codebook" in found:
        checks.append(("codebook", kit.codebook))
    if "variable-length" in found:
        checks.append(("variable length", kit.lengths))
    with torch.inference_mode():
        results = tuple(_attempt(name, check) for name, check in checks)
    return Report(tokenizer.spec.name, results, trained)


def sample_images(tokenizer: Tokenizer, device: torch.device) -> Tensor:
    """Return three different smooth random images that the tokenizer accepts, float32 ``[3, 3, h, w]`` in [0, 1]."""
    import torch

    spec = tokenizer.spec
    side = -(-_DEFAULT_SIDE // spec.stride) * spec.stride
    if spec.resolution is not None and not spec.any_size:
        side = spec.resolution
    coarse = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic", antialias=False)
    return smooth.clamp(0, 1).to(device)


def _attempt(name: str, check: Callable[[], str]) -> Check:
    try:
        with unchanged():  # each check starts from the same settings, and the kit leaves none behind
            return Check(name, True, check())
    except TokbenchError as error:
        # What was raised in a worker process brings the traceback from there along.
        return Check(name, False, error.message, "\n".join(getattr(error, "__notes__", ())))
    except (Exception, SystemExit) as error:
        # The kit runs strangers' code to find out what it does; a traceback is one of the answers.
        return Check(name, False, f"raised {type(error).__name__}: {error}", traceback.format_exc())


def _copied(codes: Codes) -> Codes:
    """Copy tensors, which the tokenizer may write into when it is called again."""
    ids, latents = (None if each is None else each.detach().clone() for each in (codes.ids, codes.latents))
    return Codes(ids, latents, codes.payloads)


def _through_bytes(codes: Codes, tokenizer: Tokenizer) -> Codes:
    from tokbench.bitstream import pack, unpack

    back = unpack([item.data for item in pack(codes, tokenizer.spec)], tokenizer.spec)
    for name in ("ids", "latents"):
        original, read = getattr(codes, name), getattr(back, name)
        if original is not None:
            return Codes(**{name: read.to(original.device)})
    return back


def _shape(codes: Codes) -> str:
    if codes.payloads is not None:
        sizes = sorted(len(data) for data in codes.payloads)
        return f"payloads of {sizes[0]} to {sizes[-1]} bytes"
    value = codes.ids if codes.ids is not None else codes.latents
    assert value is not None
    return f"{'ids' if codes.ids is not None else 'latents'} {tuple(value.shape)} {value.dtype}"
