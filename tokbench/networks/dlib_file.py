"""Reader of the one kind of dlib file that tokbench uses: a serialised residual network of convolutions.

Only numbers and names are read, each checked against the end of the file and against what may stand there; no code in
the file is run, because the format has none. The format is that of dlib's ``serialize.h`` and ``dnn/{core,layers}.h``
(https://github.com/davisking/dlib): integers as a length byte and little-endian bytes, reals as mantissa and exponent,
tensors as version, four sides and little-endian float32. A network is a run of version numbers, one per layer from the
top down, and then the layers themselves from the bottom up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

_INPUT = "input_rgb_image_sized"
_LARGEST = 256 << 20
_LONGEST_NAME = 64
_MOST_LAYERS = 1000
_WIDEST = 64


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer as the file states it.

    Attributes:
        kind: ``con``, ``affine``, ``relu``, ``max_pool``, ``avg_pool``, ``add_prev`` or ``fc``.
        window: rows, columns, row stride, column stride, row padding, column padding of ``con`` and the pools; 0 rows
            and columns mean the whole plane.
        weight: ``con``: ``[filters, channels, rows, columns]``; ``affine``: ``[channels]``; ``fc``:
            ``[inputs, outputs]``; else None.
        bias: ``con`` and ``affine``: ``[channels]``; else None.
    """

    kind: str
    window: tuple[int, ...] = ()
    weight: npt.NDArray[np.float32] | None = None
    bias: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """What a file says.

    Attributes:
        mean: red, green and blue that are subtracted from pixels in 0..255 before these are divided by 256.
        side: side of the square input in pixels.
        layers: from input to output.
    """

    mean: tuple[float, float, float]
    side: int
    layers: tuple[Layer, ...]


def read_network(path: Path) -> NetworkFile:
    """Read a network.

    Args:
        path: a ``.dat`` file, at most 256 MiB.

    Raises:
        SetupError: unreadable, damaged, cut short, or another kind of network.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise SetupError(
                f"weights {path} refused: larger than {_LARGEST:,} bytes", hint="give the right file"
            )
        data = path.read_bytes()
    except OSError as error:
        raise SetupError(f"weights {path} cannot be read: {error.strerror}", hint="check the path") from error
    return _network(_Reader(data, path))


class _Reader:
    """Takes one value after the other; whatever does not fit is a `SetupError` that names the place."""

    def __init__(self, data: bytes, path: Path) -> None:
        self._data = data
        self._path = path
        self._at = 0

    def fail(self, reason: str) -> SetupError:
        return SetupError(
            f"weights {self._path} are no dlib network of the wanted kind: byte {self._at}: {reason}",
            hint="fetch the file again, or give the right one",
        )

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            raise self.fail(f"{count:,} bytes wanted, {self.left:,} left")
        self._at += count
        return self._data[self._at - count : self._at]

    def integer(self) -> int:
        head = self.take(1)[0]
        size = head & 0x7F
        if not 1 <= size <= 8:
            raise self.fail(f"an integer of {size} bytes")
        value = int.from_bytes(self.take(size), "little")
        return -value if head & 0x80 else value

    def expect(self, *wanted: int) -> None:
        got = self.integer()
        if got not in wanted:
            raise self.fail(f"format version {got}, known are {', '.join(map(str, wanted))}")

    def real(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > 1100:  # beyond float64; dlib writes infinity and NaN as exponents from 32,000 on
            raise self.fail(f"a real with exponent {exponent}")
        return math.ldexp(mantissa, exponent)

    def flags(self, count: int) -> None:
        if set(self.take(count)) - set(b"01"):
            raise self.fail("something else than 0 and 1 as truth values")

    def name(self, length: int | None = None) -> str:
        size = self.integer() if length is None else length
        if not 1 <= size <= _LONGEST_NAME:
            raise self.fail(f"a name of {size} letters")
        return self.take(size).decode("ascii", "replace")

    def sides(self, *versions: int) -> tuple[int, int, int, int]:
        self.expect(*versions)
        a, b, c, d = (self.integer() for _ in range(4))
        if min(a, b, c, d) < 0:
            raise self.fail(f"a tensor of {a}×{b}×{c}×{d}")
        return a, b, c, d

    def window(self) -> tuple[int, ...]:
        found = tuple(self.integer() for _ in range(6))
        if min(found) < 0 or max(found) > _WIDEST or not all(found[2:4]):
            raise self.fail(f"a window {found}")
        return found

    def tensor(self) -> npt.NDArray[np.float32]:
        import numpy as np

        sides = self.sides(2)
        # A product of huge sides is compared with what is left before anything is allocated.
        values = np.frombuffer(self.take(4 * math.prod(sides)), "<f4").reshape(sides)
        if not np.isfinite(values).all():
            raise self.fail("a weight that is not finite")
        return values


def _network(read: _Reader) -> NetworkFile:
    read.expect(1)
    if read.name() not in {"loss_metric_", "loss_metric_2"}:
        raise read.fail("no metric-learning network")
    read.real()
    read.real()
    for _ in range(_MOST_LAYERS):
        number = read.integer()
        if number == len(_INPUT):
            break
        if number not in {1, 2, 3}:
            raise read.fail(f"layer version {number}")
    else:
        raise read.fail(f"more than {_MOST_LAYERS} layers")
    if read.name(len(_INPUT)) != _INPUT:
        raise read.fail(f"the input is not {_INPUT}")
    mean = (read.real(), read.real(), read.real())
    side, columns = read.integer(), read.integer()
    if side != columns or not 1 <= side <= 4096:
        raise read.fail(f"an input of {side}×{columns} pixels")
    layers: list[Layer] = []
    while read.left:
        layers.append(_layer(read))
        read.flags(3)
        for _ in range(3):
            read.tensor()  # gradients and outputs that training left behind; empty in a published file
        if len(layers) == 1:
            read.expect(1)  # how many images one input becomes; only the layer above the input states it
    return NetworkFile(mean, side, tuple(layers))


def _layer(read: _Reader) -> Layer:
    name = read.name()
    if name == "con_4":
        return _convolution(read)
    if name == "affine_":
        return _affine(read)
    if name in {"max_pool_2", "avg_pool_2"}:
        return Layer(name[:-2], read.window())
    if name in {"relu_", "add_prev_"}:
        return Layer(name[:-1])
    if name == "fc_2":
        return _fully_connected(read)
    raise read.fail(f"a layer `{name}`")


def _convolution(read: _Reader) -> Layer:
    values = read.tensor().ravel()
    filters = read.integer()
    window = read.window()
    weight, bias = read.sides(1), read.sides(1)
    for _ in range(4):
        read.real()  # learning rates and weight decays
    split = math.prod(weight)
    fits = weight[0] == filters == math.prod(bias) and weight[2:] == window[:2]
    if not fits or split + filters != values.size:
        raise read.fail(f"a convolution of {weight} and {bias} from {values.size:,} values")
    return Layer("con", window, values[:split].reshape(weight), values[split:])


def _affine(read: _Reader) -> Layer:
    values = read.tensor().ravel()
    scale, shift = math.prod(read.sides(1)), math.prod(read.sides(1))
    read.integer()  # after convolutions or after fully connected layers: the same numbers
    if scale != shift or scale + shift != values.size:
        raise read.fail(f"an affine layer of {scale} and {shift} from {values.size:,} values")
    return Layer("affine", (), values[:scale], values[scale:])


def _fully_connected(read: _Reader) -> Layer:
    outputs, inputs = read.integer(), read.integer()
    values = read.tensor().ravel()
    weight, bias = read.sides(1), read.sides(1)
    read.integer()  # whether there is a bias: its sides tell
    for _ in range(4):
        read.real()
    if math.prod(bias) or math.prod(weight) != values.size or inputs * outputs != values.size:
        raise read.fail(f"a fully connected layer {inputs}→{outputs} from {values.size:,} values")
    return Layer("fc", (), values.reshape(inputs, outputs))
