"""How many images go to a tokenizer at once; never what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.errors import AdapterError

if TYPE_CHECKING:
    import torch

AUTO = 0
"""The batch size that stands for: find out."""

_FIRST = 16
_LARGEST = 512


class BatchSize:
    """The number of images a batch has now.

    Found out, it starts at 16, doubles on an accelerator after every batch that fitted, and is halved for good when
    memory runs out. Given, it stays, and only a batch that does not fit is halved. A CPU gains nothing from more.

    Args:
        asked: images, or `AUTO`.
        device: where the tokenizers run.
    """

    def __init__(self, asked: int, device: torch.device) -> None:
        self.current = asked or _FIRST
        self._ceiling = _LARGEST if asked == AUTO and device.type != "cpu" else self.current

    def fitted(self, size: int) -> None:
        """Note that a batch of `size` images went through: the next may be larger."""
        if size == self.current:
            self.current = min(2 * size, self._ceiling)

    def smaller(self, size: int, tokenizer: str, error: torch.OutOfMemoryError) -> int:
        """Return with how many images to try again after `size` were too many.

        Raises:
            AdapterError: a single one was too many.
        """
        import torch

        torch.cuda.empty_cache()
        if size == 1:
            raise AdapterError(
                f"tokenizer `{tokenizer}`: out of memory with a single image: {str(error).splitlines()[0]}",
                hint="--dtype bfloat16 halves the weights, --device cpu has the machine's whole memory",
            ) from error
        self.current = self._ceiling = min(self.current, size // 2)
        return size // 2
