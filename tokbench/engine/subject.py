"""What is evaluated: an adapter from the catalog, a tokenizer object of the caller's, or reconstructions on disk."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokbench.errors import ContractError, EmptyImageSetError, UsageError, as_utf8
from tokbench.tokenizer import Tokenizer, TokenSpec, capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from tokbench.catalog import Catalog, TokenizerEntry
    from tokbench.engine.reconstruct import Reconstructor

FOLDER = "folder:"


@dataclass(frozen=True)
class AdapterSubject:
    """A tokenizer from the catalog."""

    entry: TokenizerEntry

    @property
    def spec(self) -> TokenSpec:
        """The spec of the header."""
        assert self.entry.variant is not None
        return self.entry.variant.spec

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the header declares."""
        return self.spec.capabilities

    def identity(self, overrides: Mapping[str, Path]) -> dict[str, Any]:
        """Return what enters result keys; raises SetupError or DigestError when code or weights are not here."""
        from tokbench.loading import fingerprint

        assert self.entry.variant is not None
        mark = fingerprint(self.entry.variant.weights, overrides, self.entry.path)
        found: dict[str, Any] = {
            "revision": self.spec.revision,
            "adapter": mark.code,
            "weights": mark.weights,
        }
        if self.entry.variant.environment is not None:
            from tokbench.external.opening import identity

            found["code"] = identity(self.entry)
        return found

    def open(self, device: torch.device, dtype: torch.dtype, overrides: Mapping[str, Path]) -> Reconstructor:
        """Build the tokenizer."""
        from tokbench.engine.reconstruct import TokenizerReconstructor
        from tokbench.loading import build_tokenizer

        tokenizer = build_tokenizer(self.entry, device=device, dtype=dtype, overrides=overrides)
        return TokenizerReconstructor(tokenizer, device)


@dataclass(frozen=True)
class ObjectSubject:
    """A tokenizer that the caller built; its code is identified by the source of its class."""

    tokenizer: Tokenizer

    @property
    def spec(self) -> TokenSpec:
        """The object's own spec."""
        return self.tokenizer.spec

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the object has."""
        return capabilities(self.tokenizer)

    def identity(self, overrides: Mapping[str, Path]) -> dict[str, Any]:
        """Return what enters result keys; weights held by the object are the caller's to name in `revision`."""
        kind = type(self.tokenizer)
        try:
            source = inspect.getsource(kind)
        except (OSError, TypeError):  # a class typed at a prompt has no source file
            source = f"{kind.__module__}.{kind.__qualname__}"
        return {
            "revision": self.spec.revision,
            "adapter": hashlib.sha256(source.encode()).hexdigest(),
            "weights": {},
        }

    def open(self, device: torch.device, dtype: torch.dtype, overrides: Mapping[str, Path]) -> Reconstructor:
        """Wrap the object; device and dtype are as the caller made it."""
        from tokbench.engine.reconstruct import TokenizerReconstructor

        return TokenizerReconstructor(self.tokenizer, device)


@dataclass(frozen=True)
class FolderSubject:
    """Reconstructions that another pipeline wrote, matched to the originals by file name without suffix."""

    folder: Path

    @property
    def spec(self) -> TokenSpec:
        """A spec without codes: bit rate, codebook and speed cannot be known."""
        return TokenSpec(as_utf8(f"{FOLDER}{self.folder}"), "images", description="reconstructions on disk")

    @property
    def capabilities(self) -> tuple[str, ...]:
        """None: there are no codes."""
        return ()

    def identity(self, overrides: Mapping[str, Path]) -> dict[str, Any]:
        """Return what enters result keys: the bytes of every file in the folder."""
        images = self._images()
        whole = hashlib.sha256()
        for item, data in images.read(images.items):
            content = data if isinstance(data, bytes) else str(data).encode()
            whole.update(item.id.encode() + b"\0" + hashlib.sha256(content).digest())
        return {"revision": whole.hexdigest(), "adapter": "", "weights": {}}

    def open(self, device: torch.device, dtype: torch.dtype, overrides: Mapping[str, Path]) -> Reconstructor:
        """Index the folder."""
        from tokbench.engine.reconstruct import FolderReconstructor

        return FolderReconstructor(self.spec, self._images(), device)

    def _images(self) -> Any:
        from tokbench.images.imageset import open_images

        try:
            return open_images(str(self.folder))
        except EmptyImageSetError as error:
            raise EmptyImageSetError(
                f"tokenizer `{self.spec.name}`: {error.message}", hint=error.hint
            ) from error


Subject = AdapterSubject | ObjectSubject | FolderSubject


def make_subject(tokenizer: str | Tokenizer, catalog: Catalog) -> Subject:
    """Find out what is meant by one ``--tokenizer``.

    Args:
        tokenizer: a catalog name, ``path.py``, ``path.py:name``, ``folder:DIR``, or a tokenizer object.
        catalog: where names are looked up.

    Raises:
        UnknownNameError: no such tokenizer.
        UsageError: the folder does not exist.
        ContractError: the object is no tokenizer.
    """
    if not isinstance(tokenizer, str):
        if not isinstance(tokenizer, Tokenizer) or not isinstance(tokenizer.spec, TokenSpec):
            raise ContractError(
                f"{type(tokenizer).__name__} is no tokenizer: wanted `spec` (a TokenSpec), `encode` and `decode`"
            )
        return ObjectSubject(tokenizer)
    if tokenizer.startswith(FOLDER):
        folder = Path(tokenizer.removeprefix(FOLDER)).expanduser()
        if not folder.is_dir():
            raise UsageError(
                f"tokenizer `{tokenizer}`: no folder `{folder}`", hint="give folder:DIR of reconstructions"
            )
        return FolderSubject(folder)
    return AdapterSubject(catalog.tokenizer(tokenizer))
