"""Which images belong to which split."""

import numpy as np
import pytest

from lsp_keras.datasets._cut import Counts, choose_rows, cut_test
from lsp_keras.validation import InputError


@pytest.mark.parametrize(("num_train", "size"), [(50, 5), (9_999, 999), (50_000, 1_000)])
def test_validation_takes_a_tenth_but_at_most_a_thousand(num_train, size):
    rows = choose_rows(num_train, 7, Counts(), seed=0)
    assert len(rows.validation) == size
    joined = np.concatenate([rows.train, rows.validation])
    np.testing.assert_array_equal(np.sort(joined), np.arange(num_train))
    np.testing.assert_array_equal(rows.test, np.arange(7))


def test_rows_ascend_and_are_the_same_for_the_same_seed():
    first, again, other = (
        choose_rows(100, 50, Counts(20, 10, 30), seed=seed) for seed in (4, 4, 5)
    )
    for one, two, three in zip(first, again, other, strict=True):
        assert (np.diff(one) > 0).all()
        np.testing.assert_array_equal(one, two)
        assert one.tolist() != three.tolist()


def test_a_smaller_limit_chooses_a_subset_and_leaves_validation_alone():
    large = choose_rows(100, 50, Counts(60, None, 40), seed=1)
    small = choose_rows(100, 50, Counts(15, None, 10), seed=1)
    assert set(small.train) < set(large.train)
    assert set(small.test) < set(large.test)
    np.testing.assert_array_equal(small.validation, large.validation)


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
        choose_rows(100, 50, counts, seed=0)


def test_the_test_cut_takes_its_share_of_each_class():
    labels = np.repeat([0, 1, 2, 3], [100, 50, 12, 2])
    train, test = cut_test(labels)
    assert np.bincount(labels[test], minlength=4).tolist() == [20, 10, 2, 0]
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(164))
    # Drawn, not taken from the front.
    assert test[:20].tolist() != list(range(20))
