"""An adapter and a checkout, and a worker whose tokenizer behaves as it is told to."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tokbench.catalog import Catalog
from tokbench.external import proxy
from tokbench.external.worker import Server
from tokbench.loading import build_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tokbench.catalog import TokenizerEntry
    from tokbench.external.frames import Frame

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# torch alone is asked for, which this interpreter has: the worker runs in it and nothing is installed.
HEADER = f"""# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2"]
#
# [tool.tokbench]
# [tool.tokbench.environment]
# repository = "https://example.org/them/theirs"
# commit = "{COMMIT}"
# startup_seconds = 60
# call_seconds = 60
#
# [[tool.tokbench.tokenizers]]
# name = "theirs"
# kind = "discrete"
# vocab = 256
# tokens = 64
# resolution = 64
# stride = 8
# capabilities = ["codebook", "encoder-features", "variable-length"]
# options = {{ lengths = [1, 64] }}
# ///
"""

MODEL = '''
import torch
import torch.nn.functional as F


class Model(torch.nn.Module):
    """A number for every 8×8 patch, from weights that are drawn at random."""

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Conv2d(3, 1, 8, stride=8)

    def ids(self, images):
        mixed = torch.sigmoid(3 * self.mix(images))
        return (mixed[:, 0] * 255).round().to(torch.int32).flatten(1)

    def images(self, ids):
        grid = F.pad(ids, (0, 64 - ids.shape[1])).reshape(-1, 1, 8, 8).float() / 255
        return F.interpolate(grid, scale_factor=8).expand(-1, 3, -1, -1)
'''

ADAPTER = """
from pathlib import Path

import torch
from tokbench import Codes

ORDERS = Path(__file__).with_name("orders.py")


def orders(verb):
    told = {}
    exec(ORDERS.read_text(), told)
    return told.get(verb)


class Theirs:
    def __init__(self, spec, model):
        self.spec = spec
        self.model = model

    def encode(self, images):
        told = orders("encode")
        return told(self, images) if told else Codes(ids=self.model.ids(images))

    def decode(self, codes):
        told = orders("decode")
        return told(self, codes) if told else self.model.images(codes.ids)

    def codebook(self):
        return torch.arange(512.0).to(torch.bfloat16).reshape(256, 2)

    def encoder_features(self, images):
        return images.flatten(2).transpose(1, 2).to(torch.float16)

    def lengths(self):
        return (1, 64)

    def truncate(self, codes, length):
        return Codes(ids=codes.ids[:, :length])


def build(spec, *, device, dtype, weights, source):
    told = orders("build")
    if told:
        return told(spec, source, weights)
    from theirs.model import Model

    return Theirs(spec, Model().to(device, dtype).eval())
"""


class Theirs:
    """An adapter in a folder, and what it is told to do instead of what it does."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        (self.checkout / "theirs").mkdir(parents=True)
        (self.checkout / "theirs" / "model.py").write_text(MODEL)
        self.adapter = folder / "theirs_adapter.py"
        self.adapter.write_text(HEADER + ADAPTER)
        self.tell("")

    def tell(self, code: str) -> None:
        """Define `encode`, `decode` or `build` in place of the adapter's own from the next call on."""
        self.adapter.with_name("orders.py").write_text(f"import torch\nfrom tokbench import Codes\n{code}")

    @property
    def entry(self) -> TokenizerEntry:
        return replace(Catalog().tokenizer(str(self.adapter)), source=self.checkout)

    def build(self, **more: Any) -> Any:
        given = {"device": torch.device("cpu"), "dtype": torch.float32, "overrides": {}, **more}
        return build_tokenizer(self.entry, **given)


@pytest.fixture
def theirs(tmp_path: Path) -> Theirs:
    return Theirs(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Theirs, Any]:
    """One adapter with one running worker: starting one takes as long as importing torch."""
    made = Theirs(tmp_path_factory.mktemp("shared"))
    return made, made.build()


@pytest.fixture
def running(shared: tuple[Theirs, Any]) -> Any:
    """The shared tokenizer, which does what the adapter does."""
    shared[0].tell("")
    return shared[1]


@pytest.fixture
def tell(shared: tuple[Theirs, Any]) -> Callable[[str], None]:
    """Tell the shared tokenizer what to do."""
    return shared[0].tell


class _Here:
    """A worker without a process: the same server, called directly."""

    def __init__(self, name: str, python: Path, folder: Path) -> None:
        self._server = Server()

    def ask(self, frame: Frame, seconds: float) -> Frame:
        return _received(self._server.answer(_received(frame)))

    def stop(self) -> None:
        pass


def _received(frame: Frame) -> Frame:
    """Return a frame as it comes out of a pipe."""
    parts = tuple(part._replace(data=bytearray(part.data)) for part in frame.parts)
    return frame._replace(head=json.loads(json.dumps(frame.head)), parts=parts)


@pytest.fixture
def without_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let tokenizers be built in this process, for what does not depend on there being another."""
    path = list(sys.path)
    monkeypatch.setattr(proxy, "Worker", _Here)
    yield
    sys.path[:] = path
    for name in [name for name in sys.modules if name.split(".")[0] in {"theirs", "tokbench_adapter"}]:
        del sys.modules[name]


@pytest.fixture
def pictures() -> torch.Tensor:
    """Three images, float32 [3, 3, 64, 64]."""
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
