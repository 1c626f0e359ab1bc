import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gym_hil.datasets.statistics import QUANTILES, ImageCounter, describe, merge

EXACT = ["min", "max", "mean", "std", "count"]


def by_numpy(values):
    return {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "count": np.array([len(values)]),
        **{name: np.quantile(values, q, axis=0) for name, q in QUANTILES.items()},
    }


@given(arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.floats(-1e3, 1e3, width=32)))
def test_numbers_are_described_as_numpy_does(values):
    expected = by_numpy(values.astype(np.float64))
    for name, value in describe(values).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-9)


def test_booleans_count_as_0_and_1():
    assert describe(np.array([[True], [False], [True], [True]]))["mean"] == [0.75]


@given(arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.just(3))))
def test_images_are_described_as_numpy_does(images):
    counter = ImageCounter()
    for image in images:
        counter.add(image)
    expected = by_numpy(images.reshape(-1, 3) / 255)
    result = counter.statistics()
    assert result.pop("count") == [len(images)]
    for name, value in result.items():
        assert value.shape == (3, 1, 1)
        np.testing.assert_allclose(value.ravel(), expected[name], atol=1e-9)


@given(st.lists(arrays(np.float64, st.tuples(st.integers(1, 9), st.just(2)), elements=st.floats(-9, 9)), min_size=1))
def test_merged_parts_describe_the_whole(parts):
    merged, expected = merge([describe(part) for part in parts]), by_numpy(np.concatenate(parts))
    for name in EXACT:
        np.testing.assert_allclose(merged[name], expected[name], atol=1e-9)


def test_merged_quantiles_are_bounds_of_the_parts():
    one, other = describe(np.arange(101.0)[:, None]), describe(np.array([[40.0]]))
    merged = merge([one, other])
    assert [merged[name].item() for name in QUANTILES] == [1, 10, 40, 90, 99]


def test_merging_one_after_the_other_is_merging_at_once():
    parts = [describe(np.random.default_rng(k).normal(size=(k + 1, 3))) for k in range(5)]
    grown = parts[0]
    for part in parts[1:]:
        grown = merge([grown, part])
    for name, value in merge(parts).items():
        np.testing.assert_allclose(grown[name], value)


@pytest.mark.parametrize("count", [1, 2])
def test_few_frames_have_quantiles_too(count):
    assert set(describe(np.ones((count, 1)))) == {*EXACT, *QUANTILES}
