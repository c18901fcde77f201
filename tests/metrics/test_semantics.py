"""Agreement of classifiers, survival of small objects, and the linear probe."""

import math
import pickle

import numpy as np
import pytest
import torch
from metric_samples import make_batch, noisy, pictures
from scipy.special import log_softmax
from scipy.stats import entropy

from tokbench.metrics import agreement, objects, probe
from tokbench.metrics.base import Estimate
from tokbench.metrics.objects import OBJECTS_LARGE, OBJECTS_MEDIUM, OBJECTS_SMALL
from tokbench.networks.base import Features
from tokbench.networks.lite0 import LITE0
from tokbench.tokenizer import Codes, TokenSpec
from tokbench.weights import resolve

BEFORE = torch.tensor([[5.0, 1, 0, 0, 0, 0, 0], [0, 0, 9, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0, 0]])
AFTER = torch.tensor([[4.0, 3, 0, 0, 0, 0, 0], [8, 7, 6, 5, 4, 0, 0], [6, -1, 5, 4, 3, 2, 1]])


@pytest.fixture(scope="module")
def lite0():
    return LITE0.load({"lite0": resolve(LITE0.weights[0], {})}, torch.device("cpu"))


def batch_of(before, after):
    x = pictures(len(before), 8, 8)
    return make_batch(x, x, features=lambda name: (Features(logits=before), Features(logits=after)))


def test_agreement_by_hand():
    batch = batch_of(BEFORE, AFTER)
    assert agreement.CLASS_AGREEMENT.measure(batch).tolist() == [1, 0, 0]
    assert agreement.CLASS_AGREEMENT_5.measure(batch).tolist() == [1, 1, 0]


def test_divergence_is_scipys_relative_entropy():
    p, q = (np.exp(log_softmax(side.double().numpy(), axis=1)) for side in (BEFORE, AFTER))
    assert agreement.CLASS_KL.measure(batch_of(BEFORE, AFTER)) == pytest.approx(
        entropy(p, q, axis=1), rel=1e-9
    )
    assert (agreement.CLASS_KL.measure(batch_of(BEFORE, BEFORE)) == 0).all()


def test_zero_shot_agreement_asks_clip_once_for_the_originals():
    class Clip:
        calls = 0

        def class_logits(self, embeddings):
            Clip.calls += 1
            return embeddings

    x = pictures(3, 8, 8)
    batch = make_batch(
        x,
        x,
        features=lambda name: (Features(pooled=BEFORE), Features(pooled=AFTER)),
        evaluators={"clip-b32": Clip()},
    )
    for calls in (2, 3):
        assert agreement.ZERO_SHOT_AGREEMENT.measure(batch).tolist() == [1, 0, 0]
        assert Clip.calls == calls


def test_noise_loses_the_class(lite0):
    x = pictures(8, 64, 64)
    values = []
    for level in (0, 30, 110):
        y = noisy(x, level)
        batch = make_batch(x, y, features=lambda name, y=y: (lite0(x), lite0(y)))
        values.append(
            [metric.measure(batch).mean() for metric in (agreement.CLASS_AGREEMENT, agreement.CLASS_KL)]
        )
    assert values[0] == [1, 0]
    assert values[0][0] > values[2][0]
    assert values[0][1] < values[1][1] < values[2][1]


def test_boxes_fall_into_one_size_each():
    truth = {
        "words": [{"box": [3.5, 4.2, 20.1, 12.0]}, {"box": [0, 0, 50, 60]}],
        "objects": [{"box": [10, 10, 42, 42]}, {"box": [5, 5, 5, 9]}],
        "faces": [{"box": [0, 0, 120, 120]}],
    }
    found = {
        m.name[17:]: m.measure.boxes(truth, 128, 100) for m in (OBJECTS_SMALL, OBJECTS_MEDIUM, OBJECTS_LARGE)
    }
    assert found == {
        "small": [(3, 4, 21, 12)],
        "medium": [(10, 10, 42, 42), (0, 0, 50, 60)],
        "large": [(0, 0, 100, 120)],
    }
    many = {"words": [{"box": [i, 0, i + 5, 5]} for i in range(40)]}
    assert len(OBJECTS_SMALL.measure.boxes(many, 50, 50)) == objects.MOST


def test_a_ruined_object_is_lost_and_images_without_boxes_are_blank(lite0):
    x = pictures(3, 64, 64)
    y = x.clone()
    y[0, :, 10:26, 10:26] = noisy(torch.full((1, 3, 16, 16), 128, dtype=torch.uint8), 120)[0]
    box = {"box": [10, 10, 26, 26]}
    truth = [{"objects": [box]}, {"objects": [box, {"box": [30, 30, 50, 50]}]}, {}]
    got = OBJECTS_SMALL.measure(make_batch(x, y, truth=truth, evaluators={"lite0": lite0}))
    assert got[:2].tolist() == [0, 1]
    assert np.isnan(got[2])
    assert np.isnan(OBJECTS_LARGE.measure(make_batch(x, y, truth=truth))).all()


CONTINUOUS = TokenSpec("c", "continuous")


def latent_batch(latents, labels, index):
    x = torch.zeros(len(latents), 3, 4, 4, dtype=torch.uint8)
    truth = [{"label": label} if label else {} for label in labels]
    return make_batch(x, x, spec=CONTINUOUS, codes=Codes(latents=latents), truth=truth, index=index)


def states_of(vectors, labels):
    """Two shards of latents ``[n, d, 2, 2]`` whose positions differ but whose mean is the vector."""
    latents = torch.from_numpy(vectors)[:, :, None, None].expand(-1, -1, 2, 2).clone()
    latents[..., 0, 0] += 1
    latents[..., 1, 1] -= 1
    half = len(labels) // 2
    parts = [(slice(None, half), range(half)), (slice(half, None), range(half, len(labels)))]
    collect = probe.LINEAR_PROBE.collector.of
    return [collect(latent_batch(latents[part], labels[part], np.array(index))) for part, index in parts]


def test_the_probe_finds_what_is_linear_and_not_what_is_absent():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 4)).astype(np.float32)
    labels = ["cat" if v[0] + v[1] > 0 else "dog" for v in vectors]
    good = probe.probe(states_of(vectors, labels))
    assert good.value > 0.9
    assert good.low < good.value <= 1
    shuffled = [labels[i] for i in random.permutation(60)]
    assert probe.probe(states_of(vectors, shuffled)).value < 0.75


def test_the_probe_without_labels_says_so():
    got = probe.probe(states_of(np.zeros((8, 3), np.float32), [None] * 6 + ["a", "a"]))
    assert isinstance(got, Estimate)
    assert math.isnan(got.value)
    assert got.reason == "needs two labels with 5 images each; 2 images have a label"


def test_the_probe_never_splits_a_group():
    # The vector says which of 12 groups an image is of and nothing else, so only a split group gives its label away.
    vectors = np.repeat(np.eye(12, dtype=np.float32), 5, axis=0)
    labels = ["cat" if number % 2 else "dog" for number in np.repeat(np.arange(12), 5)]
    index = np.arange(60)
    groups = np.array([f"photo {number}" for number in np.repeat(np.arange(12), 5)])

    def measured(group):
        return probe.probe([probe.LabelledRows(index, np.array(labels), group, vectors)])

    assert measured(np.full(60, "")).value == 1
    assert measured(groups).value < 0.7
    few = measured(np.where(np.array(labels) == "cat", "one photo", groups))
    assert math.isnan(few.value)
    assert few.reason == "needs two labels with 5 groups of images each; 60 images have a label"


def test_the_group_is_read_from_the_truth():
    x = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    truth = ({"class": "a", "group": "p"}, {"class": "b"})
    batch = make_batch(x, x, spec=CONTINUOUS, codes=Codes(latents=torch.rand(2, 3, 2, 2)), truth=truth)
    assert probe.LINEAR_PROBE.collector.of(batch).group.tolist() == ["p", ""]


def test_pooled_codes_of_ids_are_mean_codebook_vectors():
    random = torch.Generator().manual_seed(0)
    books = torch.rand(2, 8, 3, generator=random)
    ids = torch.randint(0, 8, (5, 2, 4, 4), generator=random)
    x = torch.zeros(5, 3, 4, 4, dtype=torch.uint8)
    batch = make_batch(x, x, codes=Codes(ids=ids), codebook=lambda: books)
    wanted = torch.stack(
        [torch.cat([books[b][ids[i, b].flatten()].mean(0) for b in range(2)]) for i in range(5)]
    )
    assert probe.pooled_codes(batch).numpy() == pytest.approx(wanted.numpy(), abs=1e-6)
    single = make_batch(x, x, codes=Codes(ids=ids[:, 0]), codebook=lambda: books[0])
    assert probe.pooled_codes(single).numpy() == pytest.approx(wanted[:, :3].numpy(), abs=1e-6)


def test_channels_of_latents_are_the_last_axis_unless_there_is_a_grid():
    x = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    flat = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(1))
    for latents, wanted in (
        (flat, flat.mean(1)),
        (flat[:, 0], flat[:, 0]),
        (flat[..., None], flat.mean((2,), True)),
    ):
        got = probe.pooled_codes(make_batch(x, x, spec=CONTINUOUS, codes=Codes(latents=latents)))
        assert got.numpy() == pytest.approx(wanted.reshape(2, -1).numpy(), abs=1e-6)


def test_labelled_rows_are_a_monoid_and_are_stored_without_pickle(tmp_path):
    a, b = states_of(np.eye(6, dtype=np.float32), ["a", "bb", "a", "ccc", "a", "b"])
    for whole in (a + b, b + a, a + b + a, probe.LabelledRows.empty() + a + b):
        assert whole.index.tolist() == list(range(6))
        assert whole.label.tolist() == ["a", "bb", "a", "ccc", "a", "b"]
        assert whole.vector == pytest.approx(np.eye(6), abs=1e-6)
    np.savez(tmp_path / "state.npz", **a.arrays())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as stored:
        assert probe.LabelledRows.from_arrays(dict(stored)).label.tolist() == a.label.tolist()
    with pytest.raises(ValueError, match="one length"):
        probe.LabelledRows.from_arrays({**a.arrays(), "index": a.index[1:]})


def test_the_probe_applies_where_there_is_something_to_probe():
    applies = probe.LINEAR_PROBE.applies
    assert (
        applies(CONTINUOUS) == applies(TokenSpec("v", "discrete", vocab=4, capabilities=("codebook",))) == ""
    )
    assert applies(TokenSpec("v", "discrete", vocab=4)) == applies(TokenSpec("j", "codec"))
    assert pickle.loads(pickle.dumps(probe.LINEAR_PROBE)) == probe.LINEAR_PROBE
