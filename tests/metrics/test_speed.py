import numpy as np
import pytest
from metric_samples import make_batch, pictures

from tokbench.metrics.speed import DECODE_IPS, ENCODE_IPS, harmonic_mean
from tokbench.tokenizer import TokenSpec


def test_rates_average_to_images_over_total_time():
    x = pictures(4, 8, 8)
    batch = make_batch(x, x)
    assert ENCODE_IPS.measure(batch).tolist() == [2, 2, 2, 2]
    rates = DECODE_IPS.measure(batch)
    assert rates == pytest.approx([10, 5, 10 / 3, 2.5])
    assert DECODE_IPS.mean(rates) == pytest.approx(4 / 1.0)
    assert harmonic_mean(np.array([[1.0, 1.0], [2.0, np.inf]])) == pytest.approx([1, 4])


def test_wall_clock_is_not_repeatable():
    for metric in (ENCODE_IPS, DECODE_IPS):
        assert not metric.repeatable
        assert metric.applies(TokenSpec("x", "codec")) == ""
        assert "from disk" in metric.applies(TokenSpec("x", "images"))
