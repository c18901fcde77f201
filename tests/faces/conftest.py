"""A face network made from a seed, written in dlib's format, and states of faces."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path


def integer(value):
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def real(value):
    mantissa, exponent = np.frexp(value)
    return integer(int(mantissa * 2**24)) + integer(int(exponent) - 24)


def name(text):
    return integer(len(text)) + text.encode()


def sides(version, *lengths):
    return b"".join(map(integer, (version, *lengths)))


def tensor(values):
    return sides(2, len(values), 1, 1, 1) + struct.pack(f"<{len(values)}f", *values)


REST = b"110" + 3 * sides(2, 0, 0, 0, 0)
"""What follows every layer in a file of a network that is not being trained."""


class Writer:
    """Lays down the layers of a small residual network, from input to output."""

    def __init__(self, side=32, seed=3):
        self.random = np.random.default_rng(seed)
        self.layers = []
        self.side = side

    def convolution(self, inputs, filters, size, stride, padding):
        fan = inputs * size * size
        weight = self.random.normal(0, np.sqrt(2 / fan), filters * fan)
        values = np.concatenate([weight, self.random.normal(0, 0.1, filters)])
        window = b"".join(map(integer, (filters, size, size, stride, stride, padding, padding)))
        shapes = sides(1, filters, inputs, size, size) + sides(1, 1, filters, 1, 1)
        self.layers.append(name("con_4") + tensor(values) + window + shapes + 4 * real(1.0))
        return self.affine(filters)

    def affine(self, channels):
        values = np.concatenate(
            [self.random.uniform(0.5, 1.5, channels), self.random.normal(0, 0.1, channels)]
        )
        self.layers.append(name("affine_") + tensor(values) + 2 * sides(1, 1, channels, 1, 1) + integer(0))
        return self

    def plain(self, kind):
        self.layers.append(name(kind))
        return self

    def pool(self, kind, *window):
        self.layers.append(name(kind) + b"".join(map(integer, window)))
        return self

    def block(self, inputs, filters, *, halve):
        self.convolution(inputs, filters, 3, 2 if halve else 1, 0 if halve else 1).plain("relu_")
        self.convolution(filters, filters, 3, 1, 1)
        if halve:
            self.pool("avg_pool_2", 2, 2, 2, 2, 0, 0)
        return self.plain("add_prev_").plain("relu_")

    def output(self, inputs, outputs):
        self.pool("avg_pool_2", 0, 0, 1, 1, 0, 0)
        values = self.random.normal(0, inputs**-0.5, inputs * outputs)
        head = name("fc_2") + integer(outputs) + integer(inputs) + tensor(values)
        shapes = sides(1, inputs, outputs, 1, 1) + sides(1, 0, 0, 0, 0)
        self.layers.append(head + shapes + integer(1) + 4 * real(1.0))
        return self

    def data(self):
        versions = integer(1) + name("loss_metric_2") + real(0.04) + real(0.6)
        versions += integer(2) * (len(self.layers) - 1) + integer(3)
        top = name("input_rgb_image_sized") + b"".join(map(real, (122.5, 117.0, 104.25)))
        body = [self.layers[0] + REST + integer(1), *(layer + REST for layer in self.layers[1:])]
        return versions + top + integer(self.side) * 2 + b"".join(body)


def small_network(seed=3):
    """A stem, a block, a block that halves an odd plane and doubles the channels, and 16 outputs."""
    writer = Writer(seed=seed)
    writer.convolution(3, 8, 3, 2, 0).plain("relu_").pool("max_pool_2", 3, 3, 2, 2, 0, 0)
    writer.block(8, 8, halve=False).block(8, 12, halve=True).block(12, 12, halve=True)
    return writer.output(12, 16)


@pytest.fixture
def writer():
    return small_network


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "random.dat"
    path.write_bytes(small_network().data())
    return path


@pytest.fixture
def rows():
    """Make a state from columns; what is not given is made up."""
    from tokbench.metrics.face_rows import FaceRows

    def make(where, cosine=None, ratio=None, identity=None, original=None, reconstruction=None, skipped=()):
        m = len(where)
        if original is None:
            original = np.tile([1.0, 0.0], (m, 1))
            reconstruction = np.stack([cosine, np.sqrt(1 - np.square(cosine))], 1) if m else original
        return FaceRows.from_arrays(
            {
                "where": np.array(where, np.int64).reshape(-1, 2),
                "ratio": np.full(m, 0.5) if ratio is None else np.array(ratio, float),
                "identity": np.zeros(m, np.uint64) if identity is None else np.array(identity, np.uint64),
                "original": np.array(original, np.float32).reshape(m, -1 if m else 0),
                "reconstruction": np.array(reconstruction, np.float32).reshape(m, -1 if m else 0),
                "skipped": np.array(skipped, np.int64).reshape(-1, 2),
            }
        )

    return make
