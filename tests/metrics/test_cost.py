import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from metric_samples import make_batch, pictures

from tokbench.metrics.cost import (
    BITS,
    COLUMNS,
    DECODE_FLOPS,
    DECODE_MS,
    ENCODE_FLOPS,
    ENCODE_MS,
    PARAMETERS,
    PEAK_MEMORY,
    TOKENS,
    Costs,
    Profile,
)
from tokbench.tokenizer import Codes, TokenSpec

HERE = Profile("this machine", 2_000_000, 3_000_000_000, 4_000_000_000, 0.005, 0.006, math.nan)
THERE = replace(HERE, device="that machine", encode_seconds=0.1, peak_bytes=2.0**21)


def state(profile, index):
    images = pictures(len(index), 16, 16)
    return Costs.of(replace(make_batch(images, images, index=index), profile=lambda: profile))


def same(a, b):
    return all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True)
    )


def test_states_are_a_commutative_monoid():
    a, b, c = state(HERE, [4, 0]), state(THERE, [2]), state(HERE, [1, 9])
    assert same(a + b, b + a)
    assert same((a + b) + c, a + (b + c))
    assert same(a + Costs.empty(), a)
    assert same(Costs.from_arrays((a + b).arrays()), a + b)
    assert (a + b).devices.tolist() == ["this machine", "that machine", "this machine"]
    with pytest.raises(ValueError, match="twice"):
        a + a
    with pytest.raises(ValueError, match="need index"):
        Costs.from_arrays({})
    with pytest.raises(ValueError, match="fit together"):
        Costs.from_arrays(a.arrays() | {"rows": np.zeros((2, len(COLUMNS) - 1))})
    with pytest.raises(ValueError, match="not run here"):
        Costs.of(make_batch(*[pictures(1, 16, 16)] * 2))


def test_numbers_in_their_units_with_the_device():
    parts = [state(HERE, [0, 2]), state(HERE, [1])]
    values = [
        metric.finish(parts).value
        for metric in (PARAMETERS, ENCODE_FLOPS, DECODE_FLOPS, ENCODE_MS, DECODE_MS)
    ]
    assert values == pytest.approx([2, 3, 4, 5, 6])
    assert ENCODE_MS.finish(parts).reason == "on this machine"
    assert ENCODE_MS.finish(parts).reliable
    assert PARAMETERS.finish(parts).reason == ""
    assert "CUDA devices only, here this machine" in PEAK_MEMORY.finish(parts).reason
    assert PEAK_MEMORY.finish([state(THERE, [0])]).value == 2
    assert [metric.repeatable for metric in (PARAMETERS, ENCODE_FLOPS, ENCODE_MS, PEAK_MEMORY)] == [
        True,
        True,
        False,
        False,
    ]


def test_operations_out_of_sight_are_no_zero():
    hidden = ENCODE_FLOPS.finish([state(replace(HERE, encode_flops=math.nan), [0])])
    assert math.isnan(hidden.value)
    assert hidden.reason.startswith("no tensor operation was seen")


def test_two_devices_are_never_ranked():
    both = [state(HERE, [0, 1]), state(THERE, [2])]
    found = ENCODE_MS.finish(both)
    assert not found.reliable
    assert found.reason == "on that machine, this machine"
    assert PARAMETERS.finish(both).reliable
    assert math.isnan(ENCODE_MS.finish([Costs.empty()]).value)


def test_tokens_and_bits_of_an_image():
    images = pictures(2, 16, 16)

    def tokens(**codes):
        return TOKENS.measure(make_batch(images, images, codes=Codes(**codes))).tolist()

    assert tokens(ids=torch.zeros(2, 4, 8, 8, dtype=torch.int64)) == [256, 256]
    assert tokens(latents=torch.zeros(2, 16, 4, 5)) == [20, 20]
    assert tokens(latents=torch.zeros(2, 32, 6)) == [32, 32]
    assert BITS.measure(make_batch(images, images, bits=[3, 8])).tolist() == [3, 8]


def test_what_cannot_be_counted_says_why():
    codec, folder, vq = (TokenSpec("x", kind, vocab=4) for kind in ("codec", "images", "discrete"))
    assert "native code" in ENCODE_FLOPS.applies(codec)
    assert "read from disk" in PARAMETERS.applies(folder)
    assert "no tokens" in TOKENS.applies(codec)
    assert (
        ENCODE_MS.applies(codec)
        == ENCODE_FLOPS.applies(vq)
        == TOKENS.applies(vq)
        == BITS.applies(codec)
        == ""
    )
