"""tokbench measures what an image loses on its way through a visual tokenizer.

Names are imported on first use, so that `import tokbench` costs neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokbench.engine.evaluate import evaluate
    from tokbench.errors import TokbenchError
    from tokbench.images.imageset import ImageSet, open_images
    from tokbench.metrics.base import ImageMetric, SetMetric
    from tokbench.protocol import EvalProtocol, get_protocol
    from tokbench.results.compare import compare
    from tokbench.results.results import Results
    from tokbench.tasks.base import Task
    from tokbench.tokenizer import Codes, HasCodebook, Tokenizer, TokenSpec, VariableLength

__version__ = "0.1.0"

_HOME = {
    "Codes": "tokbench.tokenizer",
    "EvalProtocol": "tokbench.protocol",
    "HasCodebook": "tokbench.tokenizer",
    "ImageMetric": "tokbench.metrics.base",
    "ImageSet": "tokbench.images.imageset",
    "Results": "tokbench.results.results",
    "SetMetric": "tokbench.metrics.base",
    "Task": "tokbench.tasks.base",
    "TokbenchError": "tokbench.errors",
    "TokenSpec": "tokbench.tokenizer",
    "Tokenizer": "tokbench.tokenizer",
    "VariableLength": "tokbench.tokenizer",
    "compare": "tokbench.results.compare",
    "evaluate": "tokbench.engine.evaluate",
    "get_protocol": "tokbench.protocol",
    "open_images": "tokbench.images.imageset",
}

__all__ = [
    "Codes",
    "EvalProtocol",
    "HasCodebook",
    "ImageMetric",
    "ImageSet",
    "Results",
    "SetMetric",
    "Task",
    "TokbenchError",
    "TokenSpec",
    "Tokenizer",
    "VariableLength",
    "__version__",
    "compare",
    "evaluate",
    "get_protocol",
    "open_images",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use."""
    if name not in _HOME:
        msg = f"module 'tokbench' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """List the public names without importing them."""
    return __all__
