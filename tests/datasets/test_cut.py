"""Which images belong to which split."""

import numpy as np
import pytest

from lsp_keras.datasets._cut import Counts, choose_rows, cut_test, fair_order
from lsp_keras.validation import InputError


def cut(num_train, num_test, counts, seed, **options):
    """Rows of a source with three classes."""
    train, test = np.arange(num_train) % 3, np.arange(num_test) % 3
    return choose_rows(train, test, counts, seed, **options)


@pytest.mark.parametrize(("num_train", "size"), [(50, 5), (9_999, 999), (50_000, 1_000)])
def test_validation_takes_a_tenth_but_at_most_a_thousand(num_train, size):
    rows = cut(num_train, 7, Counts(), seed=0)
    assert len(rows.validation) == size
    joined = np.concatenate([rows.train, rows.validation])
    np.testing.assert_array_equal(np.sort(joined), np.arange(num_train))
    np.testing.assert_array_equal(np.sort(rows.test), np.arange(7))


def test_rows_are_the_same_for_the_same_seed():
    first, again, other = (cut(100, 50, Counts(20, 10, 30), seed=seed) for seed in (4, 4, 5))
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.tolist() != three.tolist()


def test_a_smaller_limit_is_the_head_of_a_larger_one_and_leaves_validation_alone():
    large = cut(100, 50, Counts(60, None, 40), seed=1)
    small = cut(100, 50, Counts(15, None, 10), seed=1)
    np.testing.assert_array_equal(small.train, large.train[:15])
    np.testing.assert_array_equal(small.test, large.test[:10])
    np.testing.assert_array_equal(small.validation, large.validation)


def test_validation_images_of_the_source_are_used_and_none_are_cut():
    labels = np.arange(40) % 3
    rows = cut(100, 50, Counts(), seed=0, validation=labels)
    np.testing.assert_array_equal(np.sort(rows.validation), np.arange(40))
    assert len(rows.train) == 100
    assert len(cut(100, 50, Counts(validation=7), seed=0, validation=labels).validation) == 7
    with pytest.raises(InputError, match=r"`validation_size` must be in \[0, 40\]"):
        cut(100, 50, Counts(validation=41), seed=0, validation=labels)


@pytest.mark.parametrize("sizes", [[50] * 10, [500, 30, 3, 1], [1, 1], [400, 100], [7] * 40])
@pytest.mark.parametrize("seed", range(3))
def test_every_head_of_an_order_holds_the_classes_in_their_shares(sizes, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    order = fair_order(labels, seed)
    np.testing.assert_array_equal(np.sort(order), np.arange(len(labels)))
    shares = np.array(sizes) / len(labels)
    heads = np.cumsum(labels[order][:, None] == np.arange(len(sizes)), axis=0)
    expected = shares * np.arange(1, len(labels) + 1)[:, None]
    assert (abs(heads - expected) <= 0.5 + len(sizes) * shares / 2 + 1e-9).all()
    assert order.tolist() != fair_order(labels, seed + 1).tolist() or len(labels) < 3


def test_the_first_images_of_equal_classes_are_one_of_each():
    labels = np.repeat(np.arange(10), 100)
    order = fair_order(labels, seed=3)
    for start in range(0, 1000, 10):
        assert sorted(labels[order[start : start + 10]]) == list(range(10))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (Counts(validation=100), r"`validation_size` must be in \[0, 100\)"),
        (Counts(validation=-1), r"`validation_size` must be in \[0, 100\)"),
        (Counts(train=91), r"`num_train` must be in \[1, 90\].* num_train=91"),
        (Counts(train=0), r"`num_train` must be in \[1, 90\]"),
        (Counts(test=51), r"`num_test` must be in \[1, 50\]"),
    ],
)
def test_more_than_there_is_is_refused(counts, message):
    with pytest.raises(InputError, match=message):
        cut(100, 50, counts, seed=0)


def test_the_test_cut_takes_its_share_of_each_class():
    labels = np.repeat([0, 1, 2, 3], [100, 50, 12, 2])
    train, test = cut_test(labels)
    assert np.bincount(labels[test], minlength=4).tolist() == [20, 10, 2, 0]
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(164))
    # Drawn, not taken from the front.
    assert test[:20].tolist() != list(range(20))
