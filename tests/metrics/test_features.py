import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_samples import make_batch, pictures

from tokbench.metrics.features import LITE0_ROWS, FeatureRows
from tokbench.networks.base import Features


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True))


def rows_of(positions):
    """Rows that are a function of the position, so that overlapping states agree."""
    index = np.array(sorted(positions), np.int64)
    reference = np.stack([np.sin(index), index, index**2], 1).astype(np.float32)
    return FeatureRows.of(index, reference, reference + 1)


states = st.sets(st.integers(0, 60), min_size=1).map(rows_of) | st.just(FeatureRows.empty())


@settings(max_examples=60, deadline=None)
@given(states, states, states)
def test_states_are_a_commutative_monoid(a, b, c):
    assert same(a + b, b + a)
    assert same((a + b) + c, a + (b + c))
    assert same(a + FeatureRows.empty(), a)
    assert same(a + a, a)
    assert same(FeatureRows.from_arrays(a.arrays()), a)


def test_rows_are_sorted_and_typed():
    state = FeatureRows.of(np.array([5, 2]), np.array([[5.0], [2.0]]), np.array([[50.0], [20.0]]))
    assert state.index.tolist() == [2, 5]
    assert state.reference.tolist() == [[2], [5]]
    assert state.reconstruction.tolist() == [[20], [50]]
    assert state.reference.dtype == np.float32


def test_contradictions_are_refused():
    a = rows_of({1, 2})
    changed = FeatureRows(a.index, a.reference, a.reconstruction + 1)
    with pytest.raises(ValueError, match="two different feature rows"):
        a + changed
    narrow = FeatureRows.of(np.array([9]), np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="widths 3 and 2"):
        a + narrow


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays.pop("index"),
        lambda arrays: arrays.update(index=arrays["index"][:1]),
        lambda arrays: arrays.update(reference=arrays["reference"][:, :1]),
        lambda arrays: arrays.update(extra=arrays["index"]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(spoil):
    arrays = rows_of({1, 2}).arrays()
    spoil(arrays)
    with pytest.raises(ValueError, match="feature"):
        FeatureRows.from_arrays(arrays)


def test_the_collector_takes_pooled_features_of_its_network():
    asked = []

    def features(name):
        asked.append(name)
        return Features(pooled=torch.ones(2, 4)), Features(pooled=torch.zeros(2, 4))

    x = pictures(2, 16, 16)
    state = LITE0_ROWS.of(make_batch(x, x, index=[8, 3], features=features))
    assert asked == ["lite0"]
    assert state.index.tolist() == [3, 8]
    assert state.reference.sum() == 8
    assert state.reconstruction.sum() == 0


def test_a_network_without_pooled_features_is_refused():
    x = pictures(1, 16, 16)
    batch = make_batch(x, x, features=lambda name: (Features(), Features()))
    with pytest.raises(ValueError, match="no pooled features"):
        LITE0_ROWS.of(batch)
