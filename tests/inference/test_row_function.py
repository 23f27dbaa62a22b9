import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.inference import row_function as _cores
from lsp_keras.inference.row_function import RowFunction

ROWS = tf.TensorSpec([None, 2], tf.float32)


class Recorded:
    """A concrete function that remembers how many rows it was called with."""

    def __init__(self, function) -> None:
        self.graph = function.graph
        self.sizes: list[int] = []
        self._function = function

    def __call__(self, values, *scalars):
        self.sizes.append(len(values))
        return self._function(values, *scalars)


def sizes_called(function, count: int) -> list[int]:
    """Rows of each call that the function is split into."""
    recorded = Recorded(function)
    RowFunction(recorded)([np.zeros((count, 2), np.float32)])
    return sorted(recorded.sizes)


@pytest.fixture
def three_cores(monkeypatch):
    monkeypatch.setattr(_cores, "num_cores", lambda: 3)


def test_rows_are_shared_among_the_cores_and_joined_in_their_order(three_cores) -> None:
    @tf.function
    def doubled(values, state, factor):
        return {"sum": tf.reduce_sum(values, axis=1) * factor, "state": state["kept"]}

    state = {"kept": tf.TensorSpec([None], tf.int64)}
    function = RowFunction(
        doubled.get_concrete_function(ROWS, state, tf.TensorSpec([], tf.float32))
    )
    values = np.arange(14, dtype=np.float32).reshape(7, 2)
    kept = np.arange(7) * 10
    found = function([values, {"kept": kept}], tf.constant(2.0))
    np.testing.assert_array_equal(found["sum"], values.sum(axis=1) * 2.0)
    np.testing.assert_array_equal(found["state"], kept)


@pytest.mark.parametrize(("count", "sizes"), [(7, [2, 2, 3]), (2, [1, 1]), (1, [1])])
def test_no_share_is_empty(three_cores, count: int, sizes: list[int]) -> None:
    function = tf.function(tf.identity).get_concrete_function(ROWS)
    assert sizes_called(function, count) == sizes


def dropped(values: tf.Tensor) -> tf.Tensor:
    return tf.nn.dropout(values, 0.5)


def drawn(values: tf.Tensor) -> tf.Tensor:
    return values + GENERATOR.normal([2])


def drawn_by_keras(values: tf.Tensor) -> tf.Tensor:
    return keras.random.dropout(values, 0.5, seed=SEED)


def asked(values: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.py_function(lambda rows: rows, [values], tf.float32), [None, 2])


GENERATOR = tf.random.Generator.from_seed(0)
SEED = keras.random.SeedGenerator(0)


@pytest.mark.parametrize("model", [dropped, drawn, drawn_by_keras, asked])
def test_a_model_whose_calls_have_an_order_gets_all_rows_in_one(three_cores, model) -> None:
    inner = tf.function(model)
    function = tf.function(lambda values: inner(values) * 2.0).get_concrete_function(ROWS)
    assert sizes_called(function, 7) == [7]


def test_an_error_of_one_share_is_raised(three_cores) -> None:
    @tf.function
    def checked(values):
        tf.debugging.assert_less(values, 5.0)
        return values

    function = RowFunction(checked.get_concrete_function(ROWS))
    with pytest.raises(tf.errors.InvalidArgumentError):
        function([np.arange(14, dtype=np.float32).reshape(7, 2)])


def test_sums_after_biased_convolutions_bear_calls_at_once(
    three_cores, biased_residual_model
) -> None:
    model = biased_residual_model
    pixels = np.random.default_rng(0).random((9, 12, 12, 3), np.float32)
    compiled = tf.function(lambda rows: model(rows, training=False), autograph=False)
    function = RowFunction(compiled.get_concrete_function(tf.TensorSpec([None, 12, 12, 3])))
    expected = model(pixels).numpy()
    for _ in range(100):
        np.testing.assert_allclose(function([pixels]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chosen", [{}, {"remapping": True}, {"remapping": False}])
def test_the_users_choice_of_fusion_comes_back(three_cores, chosen) -> None:
    options = tf.config.optimizer
    options.set_experimental_options(chosen)
    before = options.get_experimental_options()
    try:
        sizes_called(tf.function(tf.identity).get_concrete_function(ROWS), 7)
        assert options.get_experimental_options() == before
    finally:
        options.set_experimental_options({"remapping": None})
